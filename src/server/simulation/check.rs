//! The service held to the model: what each process says of a key, what the ledger and the command line say.

use std::sync::Arc;

use bulla::{Verifier, VerifyError};

use super::{
    acting::By,
    model::{Text, Verdict, View},
    world::{Broken, World},
};
use crate::{
    clock,
    imported::ImportedKeys,
    secret,
    store::LogTail,
    verification::{Stale, Step, VerifierState, Wanted, decide},
};

/// Texts of one key that are presented, the newest of them.
const TEXTS: usize = 3;

fn wanted() -> Wanted {
    Wanted {
        realms: ["live", "safe"].map(|name| name.parse().expect("should be a realm")).to_vec(),
        ..Wanted::default()
    }
}

impl World {
    /// Somebody presents a key, and the store may fail meanwhile.
    pub(super) fn present(&mut self) -> Result<(), Broken> {
        let (Some(key), at) = (self.any_key(), self.random.below(2)) else { return Ok(()) };
        let text = self.random.below(self.model.keys[key].texts.len());
        let guest = self.disturb(By::Process(at), Some(key));
        let judged = self.judge(at, key, text);
        self.tell(format!("#{key} text {text} is presented to {}: {judged:?}", self.processes[at].name));
        // It was presented before what another process did meanwhile, or after it.
        let before = self.verdict(at, key, text);
        self.take_in(&guest);
        let after = self.verdict(at, key, text);
        if before == after { self.compare(at, key, text, judged) } else { Ok(()) }
    }

    /// What the last step had to do with, and sometimes another key.
    pub(super) fn check_some(&mut self) -> Result<(), Broken> {
        let mut keys = std::mem::take(&mut self.touched);
        if keys.is_empty() || self.random.chance(30) {
            keys.extend(self.any_key());
        }
        keys.into_iter().try_for_each(|key| self.check_key(key))
    }

    /// Every key, and every process by the log as it is now.
    pub(super) fn check_all(&mut self) -> Result<(), Broken> {
        for at in 0..2 {
            if let Some(up) = &self.processes[at].up {
                up.drain();
                self.follow(at)?;
            }
        }
        (0..self.model.keys.len()).try_for_each(|key| self.check_key(key))?;
        if self.command.fresh { self.check_command() } else { Ok(()) }
    }

    fn check_key(&mut self, key: usize) -> Result<(), Broken> {
        let count = self.model.keys[key].texts.len();
        for at in 0..2 {
            for text in count.saturating_sub(TEXTS)..count {
                let judged = self.judge(at, key, text);
                self.compare(at, key, text, judged)?;
            }
        }
        self.check_ledger(key)
    }

    /// What a process says of a text: accepted, refused, or nothing where it is not to be asked now.
    fn judge(&self, at: usize, key: usize, text: usize) -> Option<Result<(), VerifyError>> {
        let Text { text, .. } = &self.model.keys[key].texts[text];
        let up = self.processes[at].up.as_ref().filter(|_| !text.is_empty())?;
        self.clock_of(By::Process(at));
        // A hash that waits to be made anew would go on with a request.
        (up.waiting() == 0).then(|| up.judge(text, &wanted()).map(drop))
    }

    fn verdict(&self, at: usize, key: usize, text: usize) -> (Verdict, &'static str) {
        self.model.verdict(key, text, &self.processes[at].view, self.processes[at].now())
    }

    fn compare(
        &mut self,
        at: usize,
        key: usize,
        text: usize,
        judged: Option<Result<(), VerifyError>>,
    ) -> Result<(), Broken> {
        let ((verdict, why), name) = (self.verdict(at, key, text), self.processes[at].name);
        match (&judged, verdict) {
            (Some(Ok(())), _) => self.saw("a key is accepted"),
            (Some(Err(VerifyError::SecretUnchecked)), _) => self.saw("nothing can be told of a key"),
            (Some(Err(_)), Verdict::Refused) => self.saw(why),
            _ => {}
        }
        let words = || format!("#{key}, text {text}: {}", self.words(key));
        match (judged, verdict) {
            (Some(Err(VerifyError::SecretUnchecked)), _) if self.failed_on_purpose(By::Process(at)) => Ok(()),
            (Some(Err(VerifyError::SecretUnchecked)), _) => {
                Err(format!("{name} cannot tell whether a key holds: {}", words()))
            }
            (Some(Ok(())), Verdict::Refused) => Err(format!("{name} accepts a key in spite of {why}: {}", words())),
            (Some(Err(error)), Verdict::Accepted) => {
                Err(format!("{name} refuses a key that holds, for {}: {}", error.code(), words()))
            }
            _ => Ok(()),
        }
    }

    /// What the model knows of a key, for people.
    fn words(&self, key: usize) -> String {
        let one = &self.model.keys[key];
        let ends: Vec<_> = one.texts.iter().map(|text| text.end).collect();
        format!(
            "version {}, issued {}, expires {:?}, revoked {:?}, suspended {}, secret halves end {ends:?}, clocks {} and {}",
            one.id.version(),
            one.issued_at,
            one.expires_at,
            one.revoked,
            one.suspended,
            self.processes[0].now(),
            self.processes[1].now(),
        )
    }

    fn check_ledger(&self, key: usize) -> Result<(), Broken> {
        let now = self.clock_of(By::Command);
        let id = self.model.keys[key].id;
        let entry = self.command.store.find(&id).map_err(|error| format!("the ledger: {error}"))?;
        let entry = entry.ok_or_else(|| format!("#{key} is not in the ledger"))?;
        let (state, states) = (entry.state(clock::now()), self.model.states(key, now));
        if states.contains(&state) {
            return Ok(());
        }
        Err(format!("the ledger says {state:?} of a key that is {states:?}: #{key}: {}", self.words(key)))
    }

    /// The command reads the log from its beginning.
    fn check_command(&self) -> Result<(), Broken> {
        let now = self.clock_of(By::Command);
        let (command, mut following) = (&self.command, LogTail::default());
        let read = following.poll(&*command.store, u64::try_from(now).unwrap_or(0));
        read.map_err(|error| format!("the command cannot read the log: {error}"))?;
        let mut view = View { imported: 0, opens: self.command_opens(), ..View::default() };
        self.model.read_log(&mut view, self.model.changes, now);
        let verifier = Verifier::new(&command.keyring)
            .requiring_secrets(&secret::requiring(&command.deployment.config))
            .with_revocations(Arc::new(following.log.revocations().clone()));
        for (at, key) in self.model.keys.iter().enumerate() {
            let Some(text) = key.texts.iter().rposition(|text| text.end.is_none() && !text.text.is_empty()) else {
                continue;
            };
            let state = VerifierState {
                verifier: &verifier,
                stale: &Stale::Nothing,
                imported: &ImportedKeys::default(),
                importing: &[],
                old_systems: &[],
                missing: &[],
            };
            let step = decide(&state, &key.texts[text].text, &wanted(), clock::now_seconds());
            let accepted = matches!(step, Step::Done(Ok(_)) | Step::Ask(_));
            let (verdict, why) = self.model.verdict(at, text, &view, now);
            if verdict == Verdict::Refused && accepted {
                return Err(format!("the command accepts a key in spite of {why}: #{at}: {}", self.words(at)));
            }
            if verdict == Verdict::Accepted && !accepted && key.id.version() != 0 {
                return Err(format!("the command refuses a key that holds: #{at}: {}", self.words(at)));
            }
        }
        Ok(())
    }

    /// The command has what it read last.
    fn command_opens(&self) -> std::collections::BTreeMap<u32, bool> {
        self.command.keyring.source_reports().iter().map(|served| (served.version.number(), true)).collect()
    }
}
