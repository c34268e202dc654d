use super::*;
use proptest::prelude::*;

const ALLOWED: [&str; 1] = ["shop.example"];

fn forbidden(text: &str) -> Option<String> {
    forbidden_host(text, &ALLOWED)
}

#[test]
fn links_are_found_as_clients_find_them() {
    for (text, expected) in [
        ("see https://Example.com/x.", vec!["example.com"]),
        (
            "see (http://a.example.com:8080/x?y=1)",
            vec!["a.example.com"],
        ),
        (
            "example.com, or www.other.museum",
            vec!["example.com", "www.other.museum"],
        ),
        ("t.me/somebody", vec!["t.me"]),
        ("https://example.com@evil.net/x", vec!["evil.net"]),
        ("сайт пример.рф", vec!["пример.рф"]),
        ("tg://resolve?domain=x", vec!["tg://resolve"]),
        ("mail a@b.org", vec!["b.org"]),
        ("see evil.museum", vec!["evil.museum"]),
        (
            "http:evil.net and site:evil.com",
            vec!["evil.net", "evil.com"],
        ),
        ("go evil。com", vec!["evil.com"]),
        ("or to 1.2.3.4/x", vec!["1.2.3.4"]),
        ("write to @Evil_guy!", vec!["@evil_guy"]),
        ("The end.Then more", vec!["end.then"]),
    ] {
        assert_eq!(linked_hosts(text), expected, "{text}");
    }
}

#[test]
fn a_host_is_found_whatever_stands_around_it() {
    for text in [
        "our shop—evil.com",
        "see…evil.com",
        "see...evil.com",
        "Yes!evil.com",
        "link=evil.com",
        "go👉evil.com",
        "👉evil.com",
        "10€evil.com",
        "x~evil.com",
        "a_b.evil.com",
        "_evil.com",
        "-evil.com-",
        "evil.com—go",
        "evil.com👈",
        "shop.example—evil.com/x",
        "shop.example,evil.com",
        "shop.example|evil.com",
        "shop.example/x evil.com",
        "shop.example/x—evil.com",
        "evil.com:abc",
        "evil.com:80",
        "EVIL.COM",
        "evil.com.",
        "evil.com/shop.example",
        "evil.com?shop.example",
        "https://evil.com#shop.example",
        "Telegram:@evil_bot",
        "us—@evil_bot",
        "us@evil_bot",
        "(@evil_bot)",
        "👉@evil_bot👈",
        "/start@evil_bot",
        "http://[::1]/",
        "https://[2001:db8::1]:443/x",
        "http://evil",
        "HTTPS://EVIL/x",
        "http://2130706433/",
        "https://shop.example\\.evil.com",
        "https://shop.example\\@evil.com",
        "https://shop.example@evil.com",
        "https://shop.example:443@evil.com/",
        "https://evil.com%2F@shop.evil.com",
        "//evil.com",
        "https:///evil.com",
        "https:evil.com",
        "mailto:me@evil.com",
        "me.too@evil.com",
        "ftp://evil.com",
        "tg://resolve?domain=evil",
        "tg://shop.example",
        "ton://transfer/x",
        "t.me/evil",
        "T.ME/evil",
        "telegram.me/evil",
        "evil.t.me",
        "8.8.8.8",
        "http://8.8.8.8:80/x",
        "ev\u{200b}il.com",
        "evil\u{ad}.com",
        "evil.c\u{2060}om",
        "evil．com",
        "evil｡com",
        "evil․com",
        "ｅｖｉｌ.ｃｏｍ",
        "𝐞𝐯𝐢𝐥.𝐜𝐨𝐦",
        "evil%2Ecom",
        "evil%252Ecom",
        "https://%65vil.com",
        "https://shop.example/go?to=https://evil.com",
        "https://shop.example/go?to=https%3A%2F%2Fevil.com",
        "пример.рф",
        "ПРИМЕР.РФ",
        "кремль.онлайн",
        "пример.xn--p1ai",
        "xn--e1afmkfd.xn--p1ai",
        "例え.みんな",
        "उदाहरण.भारत",
        "пример.com",
        // Telegram takes the whole for one host, which is another one.
        "go👉shop.example",
        "evil—shop.example",
        "evil~shop.example",
        "notshop.example",
        "not-shop.example",
        "not_shop.example",
        // With a Cyrillic letter.
        "ѕhop.example",
        "sh\u{200d}op.example",
        "shop.example.com",
        "[shop](https://evil.com)",
        "<a href='https://evil.com'>shop.example</a>",
        "https://shop.example—evil",
        "\"evil.com\"",
        "**evil.com**",
        "'evil.com'",
        "evil.com's",
        "$evil.com",
        "#evil.com",
        "price.pdf",
    ] {
        assert!(
            forbidden(text).is_some(),
            "{text}: {:?}",
            linked_hosts(text)
        );
    }
}

#[test]
fn what_is_allowed_or_no_link_passes() {
    for text in [
        "See https://shop.example/a/b.html?x=1&y=2.3#top-4.5 now.",
        "shop.example, www.shop.example and https://SHOP.example:8443/x.",
        "(shop.example) «shop.example» „shop.example“ \"shop.example\" shop.example!",
        "**shop.example** [our shop](https://shop.example/x_y) <https://shop.example>",
        "Order at shop.example—it is open.",
        "shop.example👍",
        "👉 shop.example 👈",
        "shop.example/price.pdf and shop.example/@anna",
        "https://shop.example/a%20b.pdf",
        "https://shop.example/a%2Cb.pdf",
        "https://shop.example/цены.html",
        "Write to sales@shop.example or first.last@shop.example",
        "e.g. this, i.e. that; 3.14 and 1.5, a.m., p.m., U.S.A., Ph.D.",
        "т.е. так, и т.д., и т.п., т.к. мы, г. Казань, ул.Ленина, д.5, и.о.директора",
        "z.B. so, d.h. so, u.a. und i.d.R. auch, 24.12.2026, 18.30Uhr",
        "10.50€, 1.000,50 EUR, 10.50EUR, $9.99, 1.2.3, v2.0.1, 1.2.3.4.5",
        "and/or, 24/7, C:\\, 10:30, 5 @ 3, @ 18:00, @5, a@b, me@",
        "wait... what?.. and then…so",
        "Hello.  World. .NET and ...",
        "50%, 100%25, %zz, 5 % 3",
        "你好。公司很好。再见。",
        "これは店です。ありがとう。",
        "",
    ] {
        assert_eq!(forbidden(text), None, "{text}");
    }
    assert_eq!(
        forbidden_host("xn--e1afmkfd.xn--p1ai", &["пример.рф"]),
        None
    );
    assert_eq!(
        forbidden_host("Пример.РФ", &["xn--e1afmkfd.xn--p1ai"]),
        None
    );
    assert_eq!(
        forbidden_host("https://notexample.com", &["example.com"]),
        Some("notexample.com".to_owned())
    );
}

#[test]
fn every_ending_is_one_label_in_lower_case() {
    for ending in ENDINGS.split(' ') {
        assert!(ending.chars().all(is_label), "{ending}");
        assert_eq!(ending, ending.to_lowercase());
    }
}

proptest! {
    #[test]
    fn no_surroundings_hide_a_host(
        before in "\\PC{0,12}",
        parts in "[^\\pL\\pN\\pM.@%_/?#-]{1,3}",
        host in "[a-z]{1,8}(\\.[a-z0-9]{1,5}){0,2}\\.[a-z]{2,6}",
        after in "([^\\pL\\pN\\pM.@_~\u{c0}-\u{10ffff}-]\\PC{0,12})?",
    ) {
        for scheme in ["", "https://"] {
            let text = format!("{before}{parts}{scheme}{host}{after}");
            prop_assert!(forbidden(&text).is_some());
        }
    }

    #[test]
    fn no_surroundings_hide_a_name(
        before in "[^/?#]{0,12}",
        name in "[a-z][a-z0-9_]{3,20}",
        after in "([^A-Za-z0-9_.]\\PC{0,12})?",
    ) {
        let text = format!("{before} @{name}{after}");
        prop_assert!(forbidden(&text).is_some());
    }

    #[test]
    fn plain_words_and_numbers_are_no_links(
        words in proptest::collection::vec("[a-zа-яäöüß]{1,9}[,.!?]?|[0-9]{1,4}([.,][0-9]{1,3})?[.%€]?", 0..12),
    ) {
        prop_assert_eq!(forbidden(&words.join(" ")), None);
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,200}") {
        for host in linked_hosts(&text) {
            prop_assert!(!host.is_empty());
        }
    }
}
