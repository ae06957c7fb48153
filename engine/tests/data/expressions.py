"""Writes expressions.json: expressions with the values that Python gives them.

Python's own parser and operators are the oracle. Its integers are unbounded, so a value outside 64 bits anywhere counts
as an error ("overflow"); indices are counted from 1. Run: python3 expressions.py > expressions.json
"""
import ast
import json
import math
import operator
import random
import struct
import sys

SCALARS = {"a": 3, "b": 0, "c": -7, "n": 10, "half": 0.5, "tiny": -1e-3, "big": 9223372036854775807}
VECTOR = [2, 0, 5, -1]

BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
          ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow}
COMPARE = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
           ast.Eq: operator.eq, ast.NotEq: operator.ne}
CALLS = {"min": min, "max": max, "abs": abs, "floor": math.floor, "ceil": math.ceil, "exp": math.exp,
         "log": math.log, "sqrt": math.sqrt, "comb": math.comb}


class Refused(Exception):
    pass


def check(value):
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, complex):
        raise Refused("complex")
    if isinstance(value, int) and not -2**63 <= value < 2**63:
        raise Refused("overflow")
    return value


def power(x, y):
    if isinstance(x, int) and isinstance(y, int) and abs(x) > 1 and y > 64:
        raise Refused("overflow")
    return x ** y


def value(node):
    if isinstance(node, ast.Constant):
        return check(node.value)
    if isinstance(node, ast.Name):
        return SCALARS[node.id]
    if isinstance(node, ast.BinOp):
        f = power if isinstance(node.op, ast.Pow) else BINARY[type(node.op)]
        return check(f(value(node.left), value(node.right)))
    if isinstance(node, ast.UnaryOp):
        x = value(node.operand)
        return check({ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_}[type(node.op)](x))
    if isinstance(node, ast.BoolOp):
        for operand in node.values:
            x = value(operand)
            if bool(x) != isinstance(node.op, ast.And):
                break
        return x
    if isinstance(node, ast.Compare):
        left = value(node.left)
        for op, right in zip(node.ops, node.comparators):
            right = value(right)
            if not COMPARE[type(op)](left, right):
                return 0
            left = right
        return 1
    if isinstance(node, ast.Subscript):
        index = value(node.slice)
        if index != math.floor(index) or not 1 <= index <= len(VECTOR):
            raise Refused("index")
        return VECTOR[int(index) - 1]
    if isinstance(node, ast.Call):
        if node.func.id == "sum":
            return sum(VECTOR)
        return check(CALLS[node.func.id](*map(value, node.args)))
    raise AssertionError(ast.dump(node))


def entry(text):
    tree = ast.parse(text, mode="eval").body
    row = {"e": text}
    try:
        result = value(tree)
        if isinstance(result, int):
            row["i"] = str(result)
        else:
            row["f"] = struct.pack(">d", result).hex()
    except ZeroDivisionError:
        row["x"] = "zero"
    except (Refused, OverflowError, ValueError, TypeError):
        row["x"] = "other"
    # Functions whose last bit may differ between mathematical libraries.
    if any(word in text for word in ("exp", "log", "**")) and "f" in row:
        row["approximate"] = True
    return row


def random_text(rng, depth):
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(["0", "1", "2", "3", "7", "10", "0.5", "1.5", "2.0", "0.0", "1e3", "53", "a", "b", "c", "n",
                           "half", "tiny", "big", "k[1]", "k[3]", "k[4]", "sum(k)"])
    sub = lambda: random_text(rng, depth - 1)
    maybe = lambda text: f"({text})" if rng.random() < 0.4 else text
    kind = rng.randrange(12)
    if kind < 5:
        op = rng.choice([" + ", "-", "*", " / ", "//", "%", "**", " * ", " - ", "+"])
        return maybe(sub()) + op + maybe(sub())
    if kind < 7:
        count = rng.choice([1, 1, 2, 3])
        return maybe(sub()) + "".join(rng.choice(["<", "<=", " == ", "!=", ">", " >= "]) + maybe(sub())
                                      for _ in range(count))
    if kind == 7:
        return rng.choice(["-", "+", "not "]) + maybe(sub())
    if kind == 8:
        return maybe(sub()) + rng.choice([" and ", " or "]) + maybe(sub())
    if kind == 9:
        return rng.choice(["min", "max"]) + "(" + ", ".join(sub() for _ in range(rng.choice([2, 3]))) + ")"
    if kind == 10:
        return rng.choice(["abs", "floor", "ceil", "exp", "log", "sqrt"]) + "(" + sub() + ")"
    return rng.choice([f"comb({sub()}, {sub()})", f"k[{sub()}]"])


FIXED = """
-2**2 | 2**-1 | 2**3**2 | (-2)**3 | -2**-2 | 2**-1**2 | 0**0 | 0.0**0 | 0**-1 | (-8)**(1/3) | 1**big | (-1)**big | 2**62
2**63 | (-2)**63 | -2**63 | 10**18 | 10**19 | 2.0**1024 | 2**0.5 | (-2.0)**2 | (-2.0)**3.0 | 7//2 | -7//2 | 7//-2 | -7//-2
7%3 | -7%3 | 7%-3 | -7%-3 | 7.5//2 | -7.5//2 | 7.5%2 | -7.5%2 | 7.5%-2 | -0.5%1 | 1e-20//1 | -1e-20//1 | -1e-20%1 | 1//1e-20
6/3 | 7/2 | big/2 | big/3 | big/(big-1) | 1/big | (big-1)/big | 9007199254740993/1 | 9007199254740993/3 | -big/7 | 0/big | 0/-big
1/0 | 1//0 | 1%0 | 1/0.0 | 1//0.0 | 1%0.0 | 0/5 | 0.0/5 | big+1 | -big-1 | -big-2 | big*big | big*1.0 | (-big-1)//-1
(-big-1)%-1 | abs(-big-1) | -(-big-1) | 1<2<3 | 1<2>1 | 3>2>1>0 | 1<3<2 | 1==1.0 | 1 == 1.0 == 1 | 0.1+0.2==0.3 | 1<2==1
(1<2)==1 | not 1 == 2 | not 0 | not 0.0 | not 3 and 1 | 1 and 2 | 0 and 1/0 | 1 or 1/0 | 0 or 0.0 | 0.0 or 0 | 2 and 0.0
0 or 1 and 0 | (0 or 1) and 0 | 1 < 2 and 2 < 3 or 1/0 | 3 > 2 > 1/0 | 1 > 2 > 1/0 | big == 9223372036854775807.0
big < 9223372036854775808.0 | 9007199254740993 == 9007199254740992.0 | 9007199254740993 > 9007199254740992.0 | 3 < 3.5 | -3 > -3.5
3.5 > 3 | -3.5 < -3 | 1e300*1e300 > big | 1e300*1e300-1e300*1e300 == 0 | -(1e300*1e300) < -big | 1e300*1e300 == 1e300*1e300
min(1, 1.0) | min(1.0, 1) | max(1, 1.0) | max(1.0, 1) | min(3, 2, 1) | max(3, 2.5, 1) | min(1, 2) / max(3, 4) | abs(-3) | abs(-3.5)
floor(2.7) | floor(-2.7) | ceil(2.2) | ceil(-2.2) | floor(5) | ceil(1e300) | floor(1e300*1e300) | floor(-0.5) | exp(0) | exp(1)
exp(1000) | exp(-1000) | log(1) | log(0) | log(-1) | log(10) | log(big) | sqrt(2) | sqrt(16) | sqrt(-1) | sqrt(0.0) | comb(5, 2)
comb(10, 5) | comb(2, 5) | comb(5, 0) | comb(66, 33) | comb(67, 33) | comb(62, 31) | comb(big, 1) | comb(big, 2) | comb(-1, 2)
comb(2, -1) | comb(4.0, 2) | comb(4, 2.0) | comb(big, big) | comb(big, big-1) | k[1] | k[4] | k[0] | k[5] | k[-1] | k[2.0] | k[1.5]
k[k[1]] | k[1+1]+sum(k) | sum(k) | a*(a-1)/2 | (n+1)**2 | +3 | - - 3 | +-3 | -0.0 | 0*-1.0 | 1.5e3 | .5 | 5. | 1e-3 | 00 | 1E5
a if_ | 2 * 3 + 4 * 5 | 2 + 3 * 4 - 5 | 2 - 3 - 4 | 100 / 10 / 2 | 100 // 7 % 4 | 2 * -3 | 2 ** 3 * 2 | -a ** 2 | (a) | ((a + b)) * c
""".replace("a if_ | ", "")


def main():
    rng = random.Random(20260217)
    texts = [text.strip() for line in FIXED.strip().splitlines() for text in line.split("|")]
    while len(texts) < 2000:
        text = random_text(rng, rng.choice([1, 2, 2, 3, 3, 4]))
        try:
            ast.parse(text, mode="eval")
        except SyntaxError:
            continue
        if len(text) <= 90 and text not in texts:
            texts.append(text)
    rows = ",\n".join(json.dumps(entry(text)) for text in texts)
    scalars, vector = json.dumps(SCALARS), json.dumps(VECTOR)
    sys.stdout.write(f'{{"scalars": {scalars}, "k": {vector}, "rows": [\n{rows}\n]}}\n')


main()
