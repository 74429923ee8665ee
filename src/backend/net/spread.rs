//! One request for several servers: which of them gets what, and all of them asked before the first answer is read.

use std::sync::Arc;

use super::join::{Join, Whole};
use super::protocol::Protocol;
use super::server::Server;
use crate::backend::{Backend, Order, Reply, Ticket};
use crate::error::Result;
use crate::timeout::Budget;

/// Some of the keys or entries of a request, for one server, and where they stand in the request.
pub(crate) struct Part<M, T> {
    member: Arc<M>,
    items: Vec<T>,
    places: Vec<usize>,
}

/// Divides keys or entries among the servers; `locate` tells the server of one, and makes of it what is sent there.
pub(crate) fn divide<'m, M: 'm, T>(
    items: &[T],
    locate: impl Fn(&T) -> Result<(&'m Arc<M>, T)>,
) -> Result<Vec<Part<M, T>>> {
    let mut parts: Vec<Part<M, T>> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let (member, item) = locate(item)?;
        match parts.iter_mut().find(|part| Arc::ptr_eq(&part.member, member)) {
            Some(part) => {
                part.items.push(item);
                part.places.push(place);
            }
            None => parts.push(Part { member: member.clone(), items: vec![item], places: vec![place] }),
        }
    }
    // All callers take connections of several servers in one order: so none waits for another in a circle.
    parts.sort_by_key(|part| Arc::as_ptr(&part.member));
    Ok(parts)
}

/// What is asked of each server, and how the answers make one.
pub(crate) struct Spread<M> {
    orders: Vec<(Arc<M>, Order)>,
    whole: Whole,
}

impl<M> Spread<M> {
    /// Of what was divided.
    pub(crate) fn of<T>(
        parts: Vec<Part<M, T>>,
        order: impl Fn(Vec<T>) -> Order,
        whole: impl FnOnce(Vec<Vec<usize>>) -> Whole,
    ) -> Self {
        let mut orders = Vec::with_capacity(parts.len());
        let mut places = Vec::with_capacity(parts.len());
        for part in parts {
            orders.push((part.member, order(part.items)));
            places.push(part.places);
        }
        Self { orders, whole: whole(places) }
    }

    /// The same for every server, where nothing is answered but that it was done.
    pub(crate) fn to_all(members: &[Arc<M>], order: &Order) -> Self {
        let mut members = members.to_vec();
        members.sort_by_key(Arc::as_ptr); // as `divide` does
        let orders: Vec<_> = members.into_iter().map(|member| (member, order.clone())).collect();
        Self { whole: Whole::of_deeds(orders.len(), matches!(order, Order::Clear(_))), orders }
    }

    /// Nothing for anybody: nothing was removed.
    pub(crate) fn of_nothing() -> Self {
        Self { orders: Vec::new(), whole: Whole::of_removals(0, false) }
    }

    /// Asks all servers before the first answer is read: each gets all its keys at once.
    pub(crate) fn ask<P: Protocol>(self, server: impl Fn(&M) -> &Server<P>, budget: Budget) -> Result<Reply> {
        let Self { orders, mut whole } = self;
        let deadline = budget.start();
        let sent: Vec<_> =
            orders.iter().map(|(member, order)| server(member).send(order.request(), deadline)).collect();
        for (part, sent) in sent.into_iter().enumerate() {
            whole.take(part, sent.answer());
        }
        whole.answer()
    }

    /// Begins it on all servers; the last one's answer answers the ticket.
    pub(crate) fn begin<P: Protocol>(self, server: impl Fn(&M) -> &Server<P>, budget: Budget, ticket: Ticket) {
        let Self { orders, whole } = self;
        if orders.is_empty() {
            return ticket.answer(whole.answer());
        }
        let budget = budget.fixed();
        let tickets = Join::tickets(whole, ticket);
        for ((member, order), ticket) in orders.iter().zip(tickets) {
            server(member).start(order.request(), budget, ticket);
        }
    }
}
