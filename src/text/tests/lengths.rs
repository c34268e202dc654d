//! Lengths, the notice, variants and opt-outs.

use super::super::*;
use super::{World, anna, compile, composed};

// ---- lengths ----

#[test]
fn length_counts_utf16_units_after_formatting() {
    for (text, format, units) in [
        ("abc", Format::Plain, 3),
        ("**abc**", Format::Markdown, 3),
        ("<b>a&amp;b</b>", Format::Html, 3),
        ("привет", Format::Plain, 6),
        ("👍", Format::Plain, 2),
        ("👨‍👩‍👧", Format::Plain, 8),
    ] {
        assert_eq!(format_text(text, format).unwrap().units(), units, "{text}");
    }
}

#[test]
fn a_text_has_at_most_4096_units_and_a_caption_1024() {
    let world = World::new(anna());
    for (count, media, fits) in [
        (4096, false, true),
        (4097, false, false),
        (1024, true, true),
        (1025, true, false),
    ] {
        let template = compile(&"a".repeat(count), Format::Plain);
        let limit = if media { 1024 } else { 4096 };
        let expected = if fits {
            Ok(count)
        } else {
            Err(ComposeError::TooLong {
                units: count,
                limit,
            })
        };
        let found = compose(&template, None, media, &world.context()).map(|f| f.units());
        assert_eq!(found, expected);
        assert_eq!(template.static_problem(media), expected.err());
    }
    // Two units each.
    let thumbs = compile(&"👍".repeat(2049), Format::Plain);
    assert!(matches!(
        compose(&thumbs, None, false, &world.context()),
        Err(ComposeError::TooLong {
            units: 4098,
            limit: 4096
        })
    ));
    // A value far beyond any limit is too long, not an error of the template.
    let mut contact = anna();
    contact.fields.insert("bio".into(), "x".repeat(100_000));
    assert!(matches!(
        composed("{{ contact.fields.bio }}", Format::Plain, contact),
        Err(ComposeError::TooLong { .. })
    ));
}

#[test]
fn what_must_be_too_long_is_known_without_a_person() {
    let words = "word ".repeat(900); // 4,500 units
    for (source, format, at_least) in [
        (
            format!("Hi {{{{ contact.first_name }}}}, {words}"),
            Format::Plain,
            4_500,
        ),
        (
            format!("**Hi** {{{{ contact.first_name }}}} {words}"),
            Format::Markdown,
            4_500,
        ),
        (
            format!("<b>Hi</b> {{{{ contact.first_name }}}} {words}"),
            Format::Html,
            4_500,
        ),
        (
            format!("{{% if contact.premium %}}{words}{{% endif %}}"),
            Format::Plain,
            0,
        ),
        (
            format!("{{% if contact.premium %}}{words}{{% else %}}{words}{{% endif %}}"),
            Format::Plain,
            3_600,
        ),
        (
            format!("{{% for i in [1] %}}{words}{{% endfor %}}"),
            Format::Plain,
            0,
        ),
    ] {
        let template = compile(&source, format);
        let bound = template.static_length_lower_bound();
        let exact = match compose(&template, None, false, &World::new(anna()).context()) {
            Ok(formatted) => formatted.units(),
            Err(ComposeError::TooLong { units, .. }) => units,
            Err(error) => panic!("{error}"),
        };
        assert!(
            at_least <= bound && bound <= exact,
            "{bound} of {exact}: {}",
            &source[..60]
        );
    }
}

#[test]
fn an_empty_text_is_refused_unless_there_is_media() {
    let world = World::new(anna());
    for source in [
        "",
        " \n ",
        "{# nothing #}",
        "\u{200b}",
        "{% if contact.phone %}x{% endif %}",
    ] {
        let template = compile(source, Format::Plain);
        assert_eq!(
            compose(&template, None, false, &world.context()),
            Err(ComposeError::Empty),
            "{source:?}"
        );
        assert_eq!(
            compose(&template, None, true, &world.context()),
            Ok(Formatted::default())
        );
    }
    assert_eq!(
        compile("<b> </b>", Format::Html).static_problem(false),
        Some(ComposeError::Empty)
    );
}

#[test]
fn the_notice_stands_after_a_blank_line_in_its_own_format() {
    let world = World::new(anna());
    let text = compile("**Hi** {{ contact.first_name }}\n", Format::Markdown);
    let notice = compile(
        "Reply 'stop' to hear *no* more, {{ contact.first_name }}.",
        Format::Plain,
    );
    let found = compose(&text, Some(&notice), false, &world.context()).unwrap();
    assert_eq!(
        found.text,
        "Hi Anna\n\nReply 'stop' to hear *no* more, Anna."
    );
    assert_eq!(found.entities.len(), 1);
    let bold = compile("<b>stop</b>", Format::Html);
    let found = compose(&text, Some(&bold), false, &world.context()).unwrap();
    assert_eq!(found.text, "Hi Anna\n\nstop");
    assert_eq!(
        found.entities[1],
        Entity {
            kind: EntityKind::Bold,
            offset: 9,
            length: 4
        }
    );
    // The notice counts.
    let long = compile(&"a".repeat(4090), Format::Plain);
    assert!(matches!(
        compose(&long, Some(&notice), false, &world.context()),
        Err(ComposeError::TooLong { limit: 4096, .. })
    ));
}

// ---- variants ----

#[test]
fn variants_come_in_proportion_to_their_weights_and_stay() {
    let mut counts = [0usize; 3];
    for person in 0..30_000u64 {
        let index = variant_index("spring", &person.to_le_bytes(), &[2, 0, 1]);
        assert_eq!(
            index,
            variant_index("spring", &person.to_le_bytes(), &[2, 0, 1])
        );
        counts[index] += 1;
    }
    assert_eq!(counts[1], 0);
    // 20,000 expected, with a standard deviation of 82.
    assert!((19_600..=20_400).contains(&counts[0]), "{counts:?}");
    assert_eq!(variant_index("spring", b"x", &[]), 0);
    assert_eq!(variant_index("spring", b"x", &[0, 0]), 0);
    assert_eq!(
        variant_index("spring", b"x", &[u32::MAX, u32::MAX]),
        variant_index("spring", b"x", &[1, 1])
    );
    // Another campaign splits the same people in another way.
    let same = (0..1_000u64)
        .filter(|p| {
            variant_index("a", &p.to_le_bytes(), &[1, 1])
                == variant_index("b", &p.to_le_bytes(), &[1, 1])
        })
        .count();
    assert!((400..600).contains(&same), "{same}");
    // The choice is part of the promise: it does not change between versions.
    let choices: Vec<usize> = (0..12u64)
        .map(|p| variant_index("spring", &p.to_le_bytes(), &[1, 1]))
        .collect();
    assert_eq!(choices, PINNED_CHOICES);
}

const PINNED_CHOICES: [usize; 12] = [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0];

// ---- opt-outs ----

#[test]
fn an_opt_out_is_the_whole_message_and_nothing_else() {
    let keywords = ["stop", "unsubscribe", "стоп", "отписка", "отпишите меня"];
    for (message, expected) in [
        ("stop", true),
        ("STOP", true),
        ("  Stop!!! ", true),
        ("stop.", true),
        ("«Стоп»", true),
        ("СТОП 🛑", true),
        ("🛑stop🛑", true),
        ("ｓｔｏｐ", true),
        ("st\u{ad}op", true),
        ("stop\u{fe0f}\u{20e3}", true),
        ("Отпишите   меня", true),
        ("отпишите\nменя, пожалуйста", false),
        ("отпишите, меня", true),
        ("Отпишите-меня", true),
        ("stop it", false),
        ("don't stop", false),
        ("nonstop", false),
        ("", false),
        ("🛑", false),
        ("!!!", false),
        ("stop ℹ️", true),
        ("🅿️ stop", true),
        ("stop™️ Ⓜ️", true),
        ("stop 1️⃣", true),
        ("s.t.o.p", true),
        ("st-op", true),
        ("stop 1", false),
        ("stops", false),
        // Letters of another script, with accents, full width, in fancy alphabets.
        ("ѕtop", true),
        ("ѕтор", true),
        ("cтоп", true),
        ("CTOП", true),
        ("Ctoп", true),
        ("śtop", true),
        ("ＳＴＯＰ", true),
        ("𝓼𝓽𝓸𝓹", true),
        ("ⓢⓣⓞⓟ", true),
        ("s\u{336}t\u{336}o\u{336}p\u{336}", true),
        ("st0p", true),
        ("ѕtорѕ", false),
        ("unsubscríbe", true),
        ("uпsubscribe", false),
        // Again and again.
        ("stop😀stop", true),
        ("stop stop stop!!!", true),
        ("Стоп! СТОП! stop", true),
        ("stopstop", true),
        ("stop отпишите меня", true),
        ("stop it stop", false),
        ("stop st", false),
        ("отпишите отпишите меня", false),
    ] {
        assert_eq!(is_opt_out(message, &keywords), expected, "{message:?}");
    }
    // Composed and decomposed letters are one; a keyword without letters is none.
    assert!(is_opt_out("de\u{301}sabonner", &["Désabonner"]));
    assert!(!is_opt_out("...", &["!"]));
    assert!(is_opt_out("desabonner", &["Désabonner"]));
    assert!(is_opt_out("STOPP", &["stopp"]));
    assert!(is_opt_out("रोको", &["रोको"]));
    assert!(!is_opt_out("रोक", &["रोको"]));
    assert!(!is_opt_out(&"stop ".repeat(1000), &keywords));
    assert!(is_opt_out(&format!("stop{}", "!".repeat(600)), &keywords));
}

proptest::proptest! {
    #[test]
    fn signs_accents_and_case_make_no_other_word_of_a_keyword(
        keyword in proptest::sample::select(vec!["stop", "unsubscribe", "стоп", "отписка", "отпишите меня", "aufhören"]),
        signs in proptest::collection::vec(
            proptest::sample::select(vec!["", " ", "!", ".", "👋", "🛑\u{fe0f}", "\u{200b}", "…", "—", "\u{301}"]), 1..4),
        upper in proptest::bool::ANY,
        times in 1usize..4,
    ) {
        let word = if upper { keyword.to_uppercase() } else { keyword.to_owned() };
        let one = format!("{word}{}", signs.concat());
        let keywords = ["stop", "unsubscribe", "стоп", "отписка", "отпишите меня", "aufhören"];
        proptest::prop_assert!(is_opt_out(&one.repeat(times), &keywords), "{}", one.repeat(times));
        let with_more = format!("{one} please");
        proptest::prop_assert!(!is_opt_out(&with_more, &keywords));
    }
}
