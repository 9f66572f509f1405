//! A model: what a fleet sends and how long a revocation takes, from a few constants that are measured.

/// What is measured on one machine.
#[derive(Clone, Copy)]
pub struct Costs {
    /// Bytes of an answer without events, with its HTTP head, and of the question.
    pub answer: f64,
    pub question: f64,
    /// Bytes of an event in a message.
    pub event: f64,
    /// Seconds of one core that an answer takes.
    pub work: f64,
    /// Bytes of memory of a follower that waits.
    pub memory: f64,
}

/// What a fleet is.
#[derive(Clone, Copy)]
pub struct Fleet {
    pub edges: f64,
    /// Nodes, or relays, that answer them.
    pub servers: f64,
    /// Cores that each has for it.
    pub cores: f64,
    /// Revocations a second.
    pub rate: f64,
    /// Seconds that a server keeps a question.
    pub wait: f64,
}

impl Fleet {
    /// Answers a second to one edge. Revocations come at random, and each answers the question that waits; where none
    /// comes within `wait` the answer has no events.
    pub fn answers(&self) -> f64 {
        if self.rate == 0.0 { 1.0 / self.wait } else { self.rate / (1.0 - (-self.rate * self.wait).exp()) }
    }

    /// Bytes a second to and from one edge, above TLS and TCP.
    pub fn bytes(&self, costs: &Costs) -> f64 {
        self.answers() * (costs.answer + costs.question) + self.rate * costs.event
    }

    /// Cores that each server spends on answers.
    pub fn load(&self, costs: &Costs) -> f64 {
        self.edges / self.servers * self.answers() * costs.work
    }

    /// Seconds until the last edge of a server has its answer, behind the moment at which the server knows of the
    /// revocation.
    pub fn last(&self, costs: &Costs) -> f64 {
        self.edges / self.servers * costs.work / self.cores
    }
}
