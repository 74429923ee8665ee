//! A connection's first commands: who we are, which database, and whether the server is what Sentinels called it.

use super::fault::{answered, is_about_users};
use super::resp::{Frame, command};
use crate::backend::net::{Next, Reading, unexpected};
use crate::config::{Address, Server};
use crate::error::{Error, Kind};

/// Waits for the replies to the first commands of a connection.
pub(super) struct Greeting {
    steps: Vec<Step>,
    at: usize,
}

#[derive(Clone, Copy)]
enum Step {
    Auth,
    SetName,
    Select,
    /// The server has to be a primary, or may be a replica too.
    Role {
        primary: bool,
    },
}

/// AUTH, ROLE, CLIENT SETNAME and SELECT, as far as they are needed; `None` where nothing is.
pub(super) fn greet(out: &mut Vec<u8>, server: &Server) -> Option<Greeting> {
    let mut steps = Vec::new();
    let (user, password) = (server.username.as_deref(), server.password.as_deref());
    if user.is_some() || password.is_some() {
        // a user without a password has the empty one, as in redis-py: never the default user's rights
        let password = password.unwrap_or_default().as_bytes();
        match user {
            Some(user) => command(out, &[b"AUTH", user.as_bytes(), password]),
            None => command(out, &[b"AUTH", password]),
        }
        steps.push(Step::Auth);
    }
    if let Address::Service(service) = &server.address {
        command(out, &[b"ROLE"]);
        steps.push(Step::Role { primary: service.primary });
    }
    if let Some(name) = server.client_name.as_deref() {
        command(out, &[b"CLIENT", b"SETNAME", name.as_bytes()]);
        steps.push(Step::SetName);
    }
    if server.database != 0 {
        command(out, &[b"SELECT", server.database.to_string().as_bytes()]);
        steps.push(Step::Select);
    }
    (!steps.is_empty()).then_some(Greeting { steps, at: 0 })
}

impl Reading for Greeting {
    type Frame = Frame;
    type Answer = ();

    fn read(mut self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        let Some(step) = self.steps.get(self.at) else { return Next::Broken(unexpected()) };
        match (step, frame) {
            (Step::Role { primary }, frame) => {
                if let Some(error) = other_role(*primary, &frame) {
                    return Next::Broken(error);
                }
            }
            (_, Frame::Simple(_)) => {}
            (_, Frame::Error(text)) => return Next::Broken(step.refused(&text)),
            _ => return Next::Broken(unexpected()),
        }
        self.at += 1;
        if self.at == self.steps.len() { Next::Done(Ok(())) } else { Next::More(self) }
    }
}

/// What is wrong with a server that Sentinels have named, by its answer to ROLE. They can be behind the times for a
/// moment, or longer. A server that does not answer that (its ACL forbids it) is taken at their word.
fn other_role(primary: bool, frame: &Frame) -> Option<Error> {
    let role = match frame {
        Frame::Array(items) => match items.first() {
            Some(Frame::Bulk(role) | Frame::Simple(role)) => role,
            _ => return Some(unexpected()),
        },
        Frame::Error(_) => return None,
        _ => return Some(unexpected()),
    };
    let is = match role.as_ref() {
        b"master" => return None,
        b"slave" if !primary => return None,
        b"slave" => "a replica, while a Sentinel calls it the primary",
        b"sentinel" => "a Sentinel",
        _ => "neither a primary nor a replica",
    };
    Some(Error::new(Kind::Connection, format!("the server there is {is}")).turned_away())
}

impl Step {
    /// A refusal ends the connection: commands for one database must never reach another.
    fn refused(self, text: &[u8]) -> Error {
        let error = answered(text);
        let advice = match self {
            // what else it says (LOADING, too many clients) has nothing to do with the password
            Self::Auth if !is_about_users(text) => return error,
            Self::Auth => {
                let reason = "the server refused the user or the password, check LOCATION and OPTIONS";
                return Error::new(error.kind(), reason).retriable_if(error.is_retriable());
            }
            Self::SetName => "the server refused the client name, check client_name",
            Self::Select => "the server refused the database number, check LOCATION and OPTIONS",
            Self::Role { .. } => return error,
        };
        Error::new(error.kind(), format!("{advice}: {}", error.reason())).retriable_if(error.is_retriable())
    }
}
