//! Frames as text.

use std::time::{Duration, Instant, UNIX_EPOCH};

use pgmq_notify_core::PgmqNotifyEvent;
use pgmq_notify_listener::ListenerErrorKind;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::heard::Heard;
use super::super::look::{Counted, Look, QueueLook};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn queue(name: &str, messages: u64, invisible: u64, sent: u64) -> QueueLook {
    let is_estimate = messages > Depth::COUNTED;
    let depth = |messages| Depth {
        messages,
        is_estimate,
    };
    QueueLook {
        name: name.into(),
        counted: Some(Counted {
            depth: depth(messages),
            visible: Some(depth(messages - invisible)),
            oldest: (messages > invisible).then_some(SECOND * 34),
            sent: Some(sent),
            deleted: 0,
        }),
        ..QueueLook::default()
    }
}

fn look(at: Instant, queues: Vec<QueueLook>) -> Look {
    Look {
        at,
        database: "shop".into(),
        server_version: "15.18 (Debian 15.18-1)".into(),
        clock_ahead: 0.0,
        notification_queue: 0.0,
        consumer_sessions: 8,
        queues,
    }
}

fn heard(queue: &str, events: u32) -> Heard {
    let json = format!(
        r#"{{"event_type":"message_ready","queue_name":"{queue}","namespace":"n","msg_id":1,"ready_at":"1970-01-01T00:00:00Z","visible_at":"1970-01-01T00:00:00Z"}}"#
    );
    let event = PgmqNotifyEvent::from_json(&json).unwrap();
    let mut heard = Heard::default();
    for _ in 0..events {
        heard.count(&event, UNIX_EPOCH + Duration::from_micros(420));
    }
    heard
}

/// A shop at work.
fn shop() -> State {
    let start = Instant::now();
    let queues = |more: u64| {
        let mut mail = queue("mail_queue", 14, 3, 100 + more);
        mail.consumers = Some((2, true));
        vec![
            mail,
            queue("orders_queue", 52_345, 20, 9_000 + 200 * more),
            queue("orders_queue_dlq", 3, 0, 3),
            queue("Ünïcode ほし queue with a long name", 0, 0, 7),
            QueueLook {
                name: "secret".into(),
                ..QueueLook::default()
            },
        ]
    };
    let mut state = State::new(SECOND * 2, true);
    state.hearing = Hearing::Status(ListenerStatus::Connected);
    state.see(look(start, queues(0)), &Heard::default());
    state.see(
        look(start + SECOND * 2, queues(10)),
        &heard("orders_queue", 2000),
    );
    state
}

fn frame(state: &mut State, columns: u16, lines: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal
        .draw(|frame| draw(state, frame.area(), frame.buffer_mut()))
        .unwrap();
    terminal.backend().to_string()
}

fn press(state: &mut State, code: KeyCode) {
    state.press(KeyEvent::new(code, KeyModifiers::NONE));
}

#[test]
fn a_shop_in_a_terminal_of_eighty_by_twentyfour() {
    insta::assert_snapshot!(frame(&mut shop(), 80, 24));
}

#[test]
fn a_wide_terminal_has_room_for_names() {
    insta::assert_snapshot!(frame(&mut shop(), 120, 10));
}

#[test]
fn a_narrow_terminal_loses_columns_and_no_line_its_end() {
    insta::assert_snapshot!(frame(&mut shop(), 40, 10));
}

#[test]
fn without_colour_the_words_are_the_same_and_no_cell_has_one() {
    let colours = |state: &mut State| {
        let area = Rect::new(0, 0, 80, 24);
        let mut buffer = Buffer::empty(area);
        draw(state, area, &mut buffer);
        let is_coloured = |cell: &&ratatui::buffer::Cell| cell.fg != Color::Reset;
        buffer.content().iter().filter(is_coloured).count()
    };
    let mut coloured = shop();
    let mut plain = shop();
    plain.has_colour = false;
    assert_eq!(colours(&mut plain), 0);
    // "connected", and dead letters.
    assert_eq!(colours(&mut coloured), 10);
    assert_eq!(frame(&mut plain, 80, 24), frame(&mut coloured, 80, 24));
}

#[test]
fn no_terminal_is_too_small() {
    for (columns, lines) in [(0, 0), (1, 1), (5, 2), (9, 4), (12, 5), (300, 3)] {
        let mut state = shop();
        state.shows_help = true;
        let area = Rect::new(0, 0, columns, lines);
        draw(&mut state, area, &mut Buffer::empty(area));
    }
}

#[test]
fn as_text_it_has_a_line_for_every_queue_and_no_keys() {
    insta::assert_snapshot!(text(&mut shop(), 100));
}

#[test]
fn help_lies_over_the_queues() {
    let mut state = shop();
    press(&mut state, KeyCode::Char('?'));
    insta::assert_snapshot!(frame(&mut state, 80, 24));
}

#[test]
fn a_filter_shows_what_it_leaves() {
    let mut state = shop();
    for character in "/orders".chars() {
        press(&mut state, KeyCode::Char(character));
    }
    insta::assert_snapshot!(frame(&mut state, 80, 8));
}

#[test]
fn more_queues_than_lines_are_counted() {
    let mut state = shop();
    frame(&mut state, 80, 7);
    press(&mut state, KeyCode::Down);
    press(&mut state, KeyCode::Char('r'));
    insta::assert_snapshot!(frame(&mut state, 80, 7));
}

#[test]
fn what_is_wrong_is_said_above_the_queues() {
    let first_lines = |state: &mut State| {
        let frame = frame(state, 80, 8);
        let lines: Vec<_> = frame.lines().take(3).map(str::to_owned).collect();
        lines.join("\n")
    };
    let mut state = shop();
    let mut frames = Vec::new();
    let reason = ListenerErrorKind::ConnectionLost;
    state.hearing = Hearing::Status(ListenerStatus::Reconnecting { attempt: 3, reason });
    frames.push(first_lines(&mut state));
    state.problem = Some("cannot look at the queues: Connection refused (os error 111)".into());
    frames.push(first_lines(&mut state));
    state.problem = None;
    state.hearing = Hearing::Deaf("there is no table pgmq_notify.installation".into());
    frames.push(first_lines(&mut state));
    state.hearing = Hearing::Status(ListenerStatus::Connected);
    state.look.as_mut().unwrap().notification_queue = 0.512;
    frames.push(first_lines(&mut state));
    press(&mut state, KeyCode::Char('p'));
    frames.push(first_lines(&mut state));
    insta::assert_snapshot!(frames.join("\n\n"));
}

#[test]
fn before_the_first_numbers_there_is_a_frame_too() {
    insta::assert_snapshot!(frame(&mut State::new(SECOND, true), 60, 6));
}
