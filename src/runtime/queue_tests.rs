use super::*;

fn taken<T: Send + 'static>(queue: &Queue<T>) -> Vec<Event<T>> {
    let mut events = Vec::new();
    queue.take(usize::MAX, &mut events);
    events
}

fn polled<T: Send + 'static>(queue: &Queue<T>, max: usize) -> (Polled, Taken<T>) {
    let mut taken = Taken::default();
    (queue.poll(max, Some(Instant::now()), &mut taken), taken)
}

fn is_ringing(number: i32) -> bool {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    let count = info.lines().find_map(|line| line.strip_prefix("eventfd-count:")).unwrap();
    count.trim() != "0"
}

#[test]
fn a_dropped_ticket_is_an_answer() {
    let queue = Queue::new(4);
    let (operation, ticket) = queue.accept("payload").unwrap();
    drop(ticket);
    let event = taken(&queue).pop().unwrap();
    assert_eq!((event.operation, event.payload), (operation, "payload"));
    assert_eq!(event.answer.unwrap_err().kind(), Kind::Shutdown);
}

#[test]
fn a_panic_that_drops_a_ticket_is_told_as_such() {
    let queue = Queue::new(4);
    let (_, ticket) = queue.accept(()).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = ticket;
        panic!("as a broken backend would");
    }));
    assert!(panicked.is_err());
    assert_eq!(taken(&queue).pop().unwrap().answer.unwrap_err().kind(), Kind::Panic);
}

#[test]
fn a_full_queue_refuses_until_an_event_is_dealt_with() {
    let queue = Queue::new(1);
    let (_, ticket) = queue.accept(()).unwrap();
    assert_eq!(queue.accept(()).err().unwrap().kind(), Kind::Busy);
    ticket.answer(Ok(Reply::Value(None)));
    assert!(taken(&queue).pop().unwrap().answer.is_ok());
    assert_eq!(queue.accept(()).err().unwrap().kind(), Kind::Busy, "taken, not yet dealt with");
    queue.done(1);
    let (_, ticket) = queue.accept(()).unwrap();
    drop(ticket);
    assert_eq!(polled(&queue, 9).1.len(), 1);
    assert!(queue.accept(()).is_ok(), "what is polled is dealt with");
}

#[test]
fn a_batch_is_accepted_as_far_as_there_is_room() {
    let queue = Queue::new(3);
    let mut accepted = Vec::new();
    let refused = queue.accept_all(0..5, |operation, ticket| accepted.push((operation, ticket))).unwrap_err();
    assert_eq!((refused.kind(), accepted.len()), (Kind::Busy, 3));
    let mut answers = crate::backend::Answers::default();
    for (_, ticket) in accepted {
        answers.push(ticket, Ok(Reply::Done));
    }
    assert_eq!(polled(&queue, 9).0, Polled::Nothing, "gathered, not handed out yet");
    drop(answers);
    let numbers: Vec<i32> = polled(&queue, 9).1.events.into_iter().map(|event| event.payload).collect();
    assert_eq!(numbers, [0, 1, 2]);
}

#[test]
fn a_closing_queue_hands_out_what_was_accepted_and_nothing_more() {
    let queue = Queue::new(4);
    let (_, ticket) = queue.accept(1).unwrap();
    queue.close_entrance();
    assert_eq!(queue.accept(2).err().unwrap().kind(), Kind::Shutdown);
    assert_eq!(polled(&queue, 9).0, Polled::Nothing);
    assert!(!queue.wait_for_answers(Instant::now()));
    ticket.answer(Ok(Reply::Value(None)));
    assert!(queue.wait_for_answers(Instant::now()));
    assert_eq!(taken(&queue).pop().unwrap().payload, 1);
    assert!(!queue.drain(Instant::now()), "not dealt with yet");
    queue.done(1);
    assert!(queue.drain(Instant::now()));
    assert!(!queue.take(9, &mut Vec::new()));
    assert_eq!(polled(&queue, 9).0, Polled::Over);
}

#[test]
fn the_first_of_cancel_and_answer_makes_the_event() {
    let queue = Queue::new(4);
    let (operation, ticket) = queue.accept(()).unwrap();
    assert!(queue.cancel(operation));
    assert!(!queue.cancel(operation));
    ticket.answer(Ok(Reply::Done));
    let events = taken(&queue);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].answer.as_ref().unwrap_err().kind(), Kind::Cancelled);
    queue.done(1);
    let (operation, ticket) = queue.accept(()).unwrap();
    ticket.answer(Ok(Reply::Done));
    assert!(!queue.cancel(operation), "answered already");
    assert!(taken(&queue)[0].answer.is_ok());
}

#[test]
fn the_bell_rings_while_there_is_something_to_poll_for() {
    let queue = Queue::new(9);
    let (_, first) = queue.accept(1).unwrap();
    let bell = queue.bell().unwrap();
    assert!(!is_ringing(bell));
    assert_eq!(queue.bell().unwrap(), bell);
    first.answer(Ok(Reply::Done));
    queue.record(Level::Info, "a record");
    assert!(is_ringing(bell));
    assert_eq!(polled(&queue, 1).0, Polled::Some);
    assert!(is_ringing(bell), "there is more");
    assert_eq!(polled(&queue, 1).0, Polled::Some);
    assert!(!is_ringing(bell));
    queue.wake();
    assert!(is_ringing(bell));
    assert_eq!(polled(&queue, 1).0, Polled::Nothing);
    assert!(!is_ringing(bell));
    queue.close_entrance();
    assert_eq!(polled(&queue, 1).0, Polled::Over);
    assert!(is_ringing(bell), "for ever: a loop that waits for it sees the end");
}

#[test]
fn waking_lets_a_poll_go() {
    let queue = Queue::<()>::new(1);
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| queue.poll(1, None, &mut Taken::default()));
        queue.wake();
        assert_eq!(poll.join().unwrap(), Polled::Nothing);
        let poll = scope.spawn(|| queue.poll(1, None, &mut Taken::default()));
        queue.close();
        assert_eq!(poll.join().unwrap(), Polled::Over);
    });
}

#[test]
fn records_are_bounded_and_the_lost_ones_counted() {
    let queue = Queue::<()>::new(1);
    for number in 0..MAX_RECORDS + 7 {
        queue.record(Level::Warning, &number.to_string());
    }
    let (_, taken) = polled(&queue, usize::MAX / 2);
    assert_eq!(taken.len(), MAX_RECORDS + 1);
    let (_, last) = taken.records.last().unwrap();
    assert!(last.starts_with("7 log records are lost"), "{last}");
}

#[test]
fn a_note_is_handed_out_beside_the_capacity() {
    let queue = Queue::new(1);
    let (_, ticket) = queue.accept("asked").unwrap();
    assert_eq!(queue.note("note"), Ok(()));
    assert_eq!(queue.accept("more").err().unwrap().kind(), Kind::Busy, "the note is no room, and takes none");
    let (polled, taken) = polled(&queue, 9);
    assert_eq!((polled, taken.len()), (Polled::Some, 1));
    assert_eq!((taken.events[0].operation, taken.events[0].payload), (0, "note"));
    assert_eq!(queue.note("another"), Ok(()));
    ticket.answer(Ok(Reply::Done));
    let (_, taken) = self::polled(&queue, 9);
    assert_eq!(taken.events.iter().map(|event| event.payload).collect::<Vec<_>>(), ["another", "asked"]);
    let (_, ticket) = queue.accept("more").unwrap();
    queue.close_entrance();
    assert_eq!(queue.note("late"), Ok(()), "what was accepted may still need it");
    drop(ticket);
    assert_eq!(self::polled(&queue, 9).1.len(), 2);
    assert_eq!(self::polled(&queue, 9).0, Polled::Over);
    queue.close();
    assert_eq!(queue.note("too late"), Err("too late"));
}
