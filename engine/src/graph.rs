//! Graphs: vertices with integer states and ordered edges with coefficient lists.
