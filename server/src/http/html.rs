//! What the pages of the hub are made of: one style, and text that stays text.

/// The style of every page.
pub(super) const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    pre,code{font:14px/1.4 ui-monospace,monospace}pre{padding:1rem;overflow:auto;border:1px solid #8886}\
    table{border-collapse:collapse}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}";

/// Text as HTML. Descriptions come from wherever a mirror found them.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A line of documentation as HTML: what is between backticks is code.
pub(super) fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(place, part)| {
        let part = escape(part);
        if place % 2 == 1 { format!("<code>{part}</code>") } else { part }
    });
    parts.collect()
}

/// Documentation as HTML: paragraphs, and what is between fences as it stands.
pub(super) fn prose(text: &str) -> String {
    let parts = text.split("```").enumerate().map(|(place, part)| {
        if place % 2 == 1 {
            // The first line names the language.
            let code = part.split_once('\n').map_or(part, |(_, code)| code);
            return format!("<pre>{}</pre>\n", escape(code.trim_end()));
        }
        let paragraphs = part.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
        paragraphs.map(|paragraph| ["<p>", &inline(paragraph.trim()), "\n"].concat()).collect()
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::{escape, prose};

    #[test]
    fn markup_in_a_description_is_text() {
        assert_eq!(escape("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    }

    #[test]
    fn documentation_has_paragraphs_code_and_examples() {
        let text = "One `a<b`.\n\nTwo.\n\n```text\ncurl 'x'\n```";
        let expected = "<p>One <code>a&lt;b</code>.\n<p>Two.\n<pre>curl &#39;x&#39;</pre>\n";
        assert_eq!(prose(text), expected);
    }
}
