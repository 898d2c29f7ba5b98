//! Text without the passwords of database URLs, whoever put them there: an argument in the wrong place is quoted in
//! an error.

use std::borrow::Cow;

const HIDDEN: &str = "…";

/// `text` with every password in a URL hidden: between the user and the host, and as a parameter.
pub(crate) fn redacted(text: &str) -> Cow<'_, str> {
    if !text.contains("://") && !text.contains("password=") {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://").map(|at| at + "://".len()) {
        result.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(ends_url).unwrap_or(rest.len());
        let (url, behind) = rest.split_at(end);
        result.push_str(&without_password(url));
        rest = behind;
    }
    result.push_str(rest);
    Cow::Owned(without_parameter(&result))
}

fn ends_url(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '`' | '<' | '>')
}

/// The last `@` ends the password: one that was not percent-encoded may be part of it.
fn without_password(url: &str) -> Cow<'_, str> {
    let Some(at) = url.rfind('@') else {
        return Cow::Borrowed(url);
    };
    match url[..at].find(':') {
        Some(colon) => Cow::Owned(format!("{}:{HIDDEN}{}", &url[..colon], &url[at..])),
        None => Cow::Borrowed(url),
    }
}

fn without_parameter(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("password=").map(|at| at + "password=".len()) {
        result.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|it| it == '&' || ends_url(it));
        result.push_str(HIDDEN);
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_and_the_rest_is_not() {
        for (text, expected) in [
            ("nothing here", "nothing here"),
            (
                "https://www.postgresql.org/docs",
                "https://www.postgresql.org/docs",
            ),
            ("postgres://app:geheim@db/shop", "postgres://app:…@db/shop"),
            (
                "'postgres://app:ge:h@im@db:5432/shop' found",
                "'postgres://app:…@db:5432/shop' found",
            ),
            ("postgres://app@db/shop", "postgres://app@db/shop"),
            ("postgres://:geheim@db", "postgres://:…@db"),
            (
                "two postgresql://a:b@c postgresql://d:e@f",
                "two postgresql://a:…@c postgresql://d:…@f",
            ),
            (
                "postgres://db/shop?user=app&password=geheim&sslmode=require",
                "postgres://db/shop?user=app&password=…&sslmode=require",
            ),
            (
                "host=db password=geheim dbname=shop",
                "host=db password=… dbname=shop",
            ),
            ("postgres://ä:ö@ü/ß", "postgres://ä:…@ü/ß"),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }
}
