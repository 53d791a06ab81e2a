//! The order of events: all rows at one server, or at several side by side.

use std::io;

use crate::compare::{self, OPEN_FILES, Peer};
use crate::content::Content;
use crate::contest::{self, BARE, Contender, OURS};
use crate::figures::count;
use crate::idle;
use crate::plan::{Compare, IDLE, Plan, Running, Target};
use crate::processors;
use crate::progress::Progress;
use crate::report::{Machine, Report};
use crate::rows::kind::Kind;
use crate::rows::{IDLE_ROWS, ROWS, TLS_ROWS};
use crate::server::{self, MANY_FILES, Server};
use crate::stream::Tls;
use crate::table;

/// How data is protected in rows that are compared.
const TLS_WANTED: &str = "TLSv1_3 TLS13_AES_256_GCM_SHA384";

/// What all steps need.
struct Session<'a> {
    plan: &'a Plan,
    content: Content,
    tls: Tls,
    progress: Progress,
    show: &'a dyn Fn(&str) -> io::Result<()>,
    report: Report,
}

/// Measures what the plan says, and shows each row when it is done.
pub(crate) fn measure(plan: &Plan, show: &dyn Fn(&str) -> io::Result<()>) -> io::Result<Report> {
    let mut session = Session {
        plan,
        content: Content::new(),
        tls: Tls::new().map_err(io::Error::other)?,
        progress: Progress::new(0),
        show,
        report: Report {
            machine: Machine::this(),
            ..Report::default()
        },
    };
    match &plan.target {
        Target::Own => session.one(None)?,
        Target::Running(running) => session.one(Some(running))?,
        Target::Compare(compare) => session.several(compare)?,
    }
    Ok(session.report)
}

impl Session<'_> {
    /// A row of these servers.
    fn row(
        &mut self,
        kind: &Kind,
        contenders: &[&Contender],
        beside: Option<&str>,
    ) -> io::Result<()> {
        processors::go(self.plan, kind.by_turns)?;
        let (plan, content) = (self.plan, &self.content);
        let mut outcome = contest::run(kind, contenders, plan, content, &self.progress);
        if let Some(beside) = beside {
            outcome.row = format!("beside-{}", outcome.row);
            outcome.title += beside;
        }
        self.progress.advance();
        (self.show)(&table::lines(&outcome))?;
        self.report.outcomes.push(outcome);
        Ok(())
    }

    /// The memory of idle clients, who are given to `meanwhile`.
    fn memory(
        &mut self,
        contender: &Contender,
        clients: u64,
        meanwhile: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        processors::go(self.plan, true)?;
        self.progress.show("idle", &contender.name, "log in");
        let (memory, mut crowd) = idle::hold(contender, clients);
        self.progress.advance();
        (self.show)(&memory.line())?;
        self.report.memories.push(memory);
        if crowd.is_empty() {
            return Ok(());
        }
        meanwhile(self)?;
        // Clients that had been thrown out would have been no burden.
        crate::rows::many::disperse(&mut crowd)
    }

    fn one(&mut self, running: Option<&Running>) -> io::Result<()> {
        let plan = self.plan;
        let tls = plan.tls.then(|| self.tls.clone());
        let start = || match running {
            Some(running) => Server::running(running, tls.clone(), plan.patience),
            None => Server::start(
                &server::own(plan.tls, plan.server_cpu)?,
                tls.clone(),
                plan.patience,
            ),
        };
        let contender = |server| Contender {
            name: if running.is_some() { "server" } else { OURS }.to_owned(),
            server,
        };
        let mut only = contender(start()?);
        let address = only.server.access.address;
        let process = match &only.server.process {
            Some(process) if process.cpu_time().is_some() => format!("pid {}", process.pid()),
            _ => "its CPU time and memory unknown (Linux only, with --pid)".to_owned(),
        };
        let protection = only.server.access.login()?.protection();
        let protection = protection.map_or(String::new(), |protection| format!(", {protection}"));
        (self.show)(&format!(
            "Server at {address}{protection}, {process}. {}.\n\n{}",
            plan.medians(),
            table::HEAD
        ))?;
        let rows = ROWS.iter().filter(|kind| plan.has(kind.name));
        let idle = plan.has(IDLE) && plan.idle > 0;
        let steps = rows.clone().count() + if idle { 1 + IDLE_ROWS.len() } else { 0 };
        self.progress = Progress::new(steps);
        for kind in rows {
            self.row(kind, &[&only], None)?;
        }
        if idle {
            if running.is_none() {
                // Memory that other rows made the server keep would hide what idle clients need.
                drop(only);
                only = contender(start()?);
            }
            self.memory(&only, plan.idle, |session| session.beside(&[&only]))?;
        }
        Ok(())
    }

    /// The rows beside idle clients.
    fn beside(&mut self, contenders: &[&Contender]) -> io::Result<()> {
        let beside = format!(", {} idle", count(self.plan.idle));
        IDLE_ROWS
            .iter()
            .try_for_each(|kind| self.row(kind, contenders, Some(&beside)))
    }

    fn several(&mut self, compare: &Compare) -> io::Result<()> {
        let (peers, absent) = compare::peers(compare)?;
        for peer in &peers {
            (self.show)(&format!("{}: {}", peer.name, peer.version))?;
        }
        for line in &absent {
            (self.show)(line)?;
        }
        for peer in &peers {
            self.report.servers.push(peer.described()?);
        }
        self.report.absent = absent;
        (self.show)(&format!("\n{}", table::HEAD))?;
        let plan = self.plan;
        let with_tls = compare.certificate.is_some();
        let kinds = [!plan.tls, with_tls];
        let rows = |kinds: &'static [Kind]| kinds.iter().filter(|kind| plan.has(kind.name));
        static CLEAR: [Kind; ROWS.len()] = ROWS;
        static TLS: [Kind; TLS_ROWS.len()] = TLS_ROWS;
        let servers = peers.iter().filter(|peer| !peer.is_bare()).count();
        let ours = peers.iter().filter(|peer| peer.name == OURS).count();
        let idle =
            (servers + 2 * ours) * kinds.iter().filter(|&&on| on).count() + IDLE_ROWS.len() * ours;
        let steps = rows(&CLEAR).count() * usize::from(kinds[0])
            + rows(&TLS).count() * usize::from(kinds[1]);
        self.progress = Progress::new(steps + if plan.has(IDLE) { idle } else { 0 });
        if !with_tls {
            (self.show)("No FTPS rows: there is no --certificate")?;
        }
        if kinds[0] {
            self.rows(&peers, compare, None, rows(&CLEAR))?;
        }
        if kinds[1] {
            let tls = self.tls.clone();
            self.rows(&peers, compare, Some(&tls), rows(&TLS))?;
        }
        if plan.has(IDLE) && plan.idle > 0 {
            (self.show)("memory (all processes of a server)")?;
            for (on, tls) in kinds.into_iter().zip([None, Some(self.tls.clone())]) {
                if on {
                    self.idle(&peers, compare, tls.as_ref())?;
                }
            }
        }
        Ok(())
    }

    /// Starts those of the servers that start.
    fn started<'p>(
        &mut self,
        peers: impl Iterator<Item = &'p Peer>,
        compare: &Compare,
        tls: Option<&Tls>,
        open_files: u64,
    ) -> io::Result<Vec<(&'p Peer, Contender)>> {
        let mut started = Vec::new();
        for peer in peers {
            match peer.start(self.plan, compare, tls, open_files) {
                Ok(contender) => started.push((peer, contender)),
                Err(error) => {
                    let tls = if tls.is_some() { " with TLS" } else { "" };
                    let line = format!("{} is left out{tls}: {error}", peer.name);
                    self.progress.clear();
                    (self.show)(&line)?;
                    self.report.absent.push(line);
                }
            }
        }
        Ok(started)
    }

    fn rows<'k>(
        &mut self,
        peers: &[Peer],
        compare: &Compare,
        tls: Option<&Tls>,
        kinds: impl Iterator<Item = &'k Kind>,
    ) -> io::Result<()> {
        let wanted = peers.iter().filter(|peer| tls.is_none() || !peer.is_bare());
        let started = self.started(wanted, compare, tls, OPEN_FILES)?;
        for (peer, contender) in started.iter().filter(|_| tls.is_some()) {
            let protection = contender.server.access.login()?.protection();
            if let Some(other) = protection.filter(|protection| protection != TLS_WANTED) {
                let name = &peer.name;
                let line = format!("{name} uses {other}: shown, but not the same work");
                (self.show)(&line)?;
                self.report.absent.push(line);
                self.report.other_tls.push(name.clone());
            }
        }
        for kind in kinds {
            let taking_part: Vec<&Contender> = started
                .iter()
                .filter(|(peer, _)| peer.is_for(kind.name))
                .map(|(_, contender)| contender)
                .collect();
            self.row(kind, &taking_part, None)?;
        }
        Ok(())
    }

    fn idle(&mut self, peers: &[Peer], compare: &Compare, tls: Option<&Tls>) -> io::Result<()> {
        let plan = self.plan;
        for peer in peers.iter().filter(|peer| !peer.name.starts_with(BARE)) {
            for (peer, contender) in self.started([peer].into_iter(), compare, tls, OPEN_FILES)? {
                self.memory(&contender, plan.many, |_| Ok(()))?;
                drop(contender);
                if peer.name == OURS {
                    self.ours(peer, compare, tls)?;
                }
            }
        }
        Ok(())
    }

    /// Thousands of idle clients, and whether others notice them.
    fn ours(&mut self, peer: &Peer, compare: &Compare, tls: Option<&Tls>) -> io::Result<()> {
        let plan = self.plan;
        let most = idle::possible(plan.most_idle);
        if most < plan.most_idle {
            let [most, wanted] = [most, plan.most_idle].map(count);
            let line = format!("{most} clients, not {wanted}: see 'ulimit -n'");
            if !self.report.absent.contains(&line) {
                (self.show)(&line)?;
                self.report.absent.push(line);
            }
        }
        let mut numbers = vec![plan.idle.min(most), most];
        numbers.dedup();
        for clients in numbers {
            for (_, contender) in self.started([peer].into_iter(), compare, tls, MANY_FILES)? {
                let beside = tls.is_none() && clients <= plan.idle;
                self.memory(&contender, clients, |session| {
                    if !beside {
                        return Ok(());
                    }
                    session.against_none(peer, &contender, compare)
                })?;
            }
        }
        Ok(())
    }

    /// The server with idle clients, taking turns with another of its kind that has none.
    fn against_none(
        &mut self,
        peer: &Peer,
        filled: &Contender,
        compare: &Compare,
    ) -> io::Result<()> {
        let mut peer = peer.clone();
        peer.rename("none idle", 200);
        for (_, none) in self.started([&peer].into_iter(), compare, None, MANY_FILES)? {
            self.beside(&[filled, &none])?;
        }
        Ok(())
    }
}
