use std::time::Instant;

use super::*;

/// What a queue looks like: messages, invisible and sent; and deleted.
fn queue(name: &str, counted: Option<(u64, u64, u64)>, deleted: u64) -> QueueLook {
    QueueLook {
        name: name.into(),
        counted: counted.map(|(messages, invisible, sent)| Counted {
            depth: depth(messages),
            visible: Some(depth(messages - invisible)),
            oldest: (messages > invisible).then_some(Duration::from_secs(messages)),
            sent: Some(sent),
            deleted,
        }),
        ..QueueLook::default()
    }
}

fn depth(messages: u64) -> Depth {
    Depth {
        messages,
        is_estimate: messages > Depth::COUNTED,
    }
}

fn look(at: Instant, queues: Vec<QueueLook>) -> Look {
    Look {
        at,
        database: "shop".into(),
        server_version: "15.18 (Debian 15.18-1)".into(),
        clock_ahead: 0.5,
        notification_queue: 0.0,
        consumer_sessions: 0,
        queues,
    }
}

fn seen(before: Vec<QueueLook>, after: Vec<QueueLook>) -> State {
    let start = Instant::now();
    let mut state = State::new(Duration::from_secs(2), true);
    state.see(look(start, before), &Heard::default());
    state.see(
        look(start + Duration::from_secs(2), after),
        &Heard::default(),
    );
    state
}

fn names(state: &State) -> Vec<&str> {
    state.rows().iter().map(|row| row.name.as_str()).collect()
}

fn press(state: &mut State, keys: &str) -> Flow {
    let mut flow = Flow::Stay;
    for character in keys.chars() {
        let code = match character {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '<' => KeyCode::Left,
            '>' => KeyCode::Right,
            '\u{8}' => KeyCode::Backspace,
            other => KeyCode::Char(other),
        };
        flow = state.press(KeyEvent::new(code, KeyModifiers::NONE));
    }
    flow
}

#[test]
fn rates_are_those_since_the_last_look() {
    let state = seen(
        vec![queue("a", Some((10, 0, 100)), 0)],
        // 20 came, and it has 4 more: 16 left.
        vec![queue("a", Some((14, 3, 120)), 0)],
    );
    let row = state.rows()[0];
    assert_eq!((row.sent, row.done), (Some(10.0), Some(8.0)));
    let expected = (Some(depth(14)), Some(depth(11)));
    assert_eq!((row.depth, row.visible), expected);
    assert_eq!(row.oldest, Some(Duration::from_secs(14)));
    assert_eq!((state.totals.sent, state.totals.done), (10.0, 8.0));
}

#[test]
fn beyond_what_is_counted_what_left_is_from_the_statistics() {
    let state = seen(
        vec![queue("a", Some((4900, 0, 5000)), 100)],
        vec![queue("a", Some((5600, 0, 6000)), 300)],
    );
    let row = state.rows()[0];
    assert_eq!((row.sent, row.done), (Some(500.0), Some(100.0)));
    assert_eq!(row.depth, Some(depth(5600)));
}

#[test]
fn without_the_sequence_what_left_is_from_the_statistics() {
    let unread = |messages, deleted| {
        let mut queue = queue("a", Some((messages, 0, 0)), deleted);
        queue.counted = queue.counted.map(|it| Counted { sent: None, ..it });
        queue
    };
    let state = seen(vec![unread(10, 100)], vec![unread(14, 106)]);
    let row = state.rows()[0];
    assert_eq!((row.sent, row.done), (None, Some(3.0)));
}

#[test]
fn what_is_not_known_is_not_shown_as_zero() {
    let state = seen(
        vec![queue("old", Some((0, 0, 100)), 0)],
        vec![
            queue("new", Some((0, 0, 7)), 0),
            queue("unreadable", None, 9),
            // It was dropped and created again.
            queue("old", Some((0, 0, 1)), 0),
        ],
    );
    let row = |name| {
        let rows = state.rows();
        let row = rows.iter().find(|row| row.name == name).unwrap();
        (row.depth.map(|it| it.messages), row.sent, row.done)
    };
    assert_eq!(row("new"), (Some(0), None, None));
    assert_eq!(row("unreadable"), (None, None, None));
    assert_eq!(row("old"), (Some(0), None, Some(0.0)));
}

#[test]
fn a_queue_shows_how_many_dead_letters_it_has() {
    let state = seen(
        vec![],
        vec![
            queue("a", Some((1, 0, 1)), 0),
            queue("a_dlq", Some((3, 0, 3)), 0),
        ],
    );
    let dead: Vec<_> = state
        .rows()
        .iter()
        .map(|row| row.dead.map(|it| it.messages))
        .collect();
    assert_eq!(
        (names(&state), dead),
        (vec!["a_dlq", "a"], vec![None, Some(3)])
    );
}

#[test]
fn keys_sort_filter_and_quit() {
    let mut state = seen(
        vec![],
        vec![
            queue("b", Some((1, 0, 1)), 0),
            queue("Ca", Some((3, 3, 3)), 0),
            queue("a", Some((2, 0, 2)), 0),
            queue("unreadable", None, 0),
        ],
    );
    assert_eq!(names(&state), ["Ca", "a", "b", "unreadable"]);
    for (keys, order) in [
        ("r", vec!["unreadable", "b", "a", "Ca"]),
        ("r<", vec!["Ca", "a", "b", "unreadable"]),
        ("r", vec!["unreadable", "b", "a", "Ca"]),
        // By what is visible.
        ("r>>", vec!["a", "b", "Ca", "unreadable"]),
        ("/A", vec!["a", "Ca", "unreadable"]),
        ("\u{8}c\n", vec!["Ca"]),
        ("/\u{1b}", vec!["a", "b", "Ca", "unreadable"]),
    ] {
        assert_eq!(press(&mut state, keys), Flow::Stay);
        assert_eq!(names(&state), order, "{keys:?}");
    }
    assert!(!state.is_paused);
    press(&mut state, "p");
    assert!(state.is_paused);
    // Keys of a filter are its text, and those of the help lead back.
    assert_eq!(press(&mut state, "/q"), Flow::Stay);
    assert_eq!(press(&mut state, "\u{1b}?q"), Flow::Stay);
    assert_eq!(press(&mut state, "q"), Flow::Quit);
    assert_eq!(press(&mut state, "\u{1b}"), Flow::Quit);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(&mut state, "/");
    assert_eq!(state.press(interrupt), Flow::Quit);
}

#[test]
fn a_page_is_as_long_as_there_is_room_and_never_beyond_the_end() {
    let queues = (0..10).map(|n| queue(&format!("q{n}"), Some((10 - n, 0, 0)), 0));
    let mut state = seen(vec![], queues.collect());
    let first = |state: &mut State, room| {
        let (offset, rows) = state.page(room);
        (offset, rows.len(), rows.first().map(|row| row.name.clone()))
    };
    assert_eq!(first(&mut state, 4), (0, 4, Some("q0".into())));
    for (key, offset) in [
        (KeyCode::Up, 0),
        (KeyCode::Down, 1),
        (KeyCode::PageDown, 5),
        (KeyCode::PageDown, 6),
        (KeyCode::Home, 0),
        (KeyCode::End, 6),
        (KeyCode::PageUp, 2),
    ] {
        state.press(KeyEvent::new(key, KeyModifiers::NONE));
        assert_eq!(state.page(4).0, offset, "{key:?}");
    }
    // A larger screen.
    assert_eq!(first(&mut state, 20), (0, 10, Some("q0".into())));
    assert_eq!(first(&mut state, 0).1, 0);
}
