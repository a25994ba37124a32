//! A function's process, and the Lambda Runtime API that it polls.

use std::fs::File;
use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::http::{self, Message, Stream};

/// How long anything here may take, under callgrind too.
const PATIENCE: Duration = Duration::from_mins(2);
/// After a function has polled, it gets this long to fall asleep, so that its CPU time is accounted for.
const FALLING_ASLEEP: Duration = Duration::from_micros(400);

/// How a function is started.
#[derive(Clone)]
pub(crate) struct Start {
    pub(crate) program: PathBuf,
    /// What comes in front of the program, such as valgrind and its options.
    pub(crate) wrapper: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

/// A running function that has polled for its next event.
pub(crate) struct Function {
    child: Child,
    events: Sender<String>,
    polls: Receiver<Instant>,
    answers: Receiver<(Instant, Vec<u8>)>,
    /// The time from exec to the first poll.
    pub(crate) first_poll: Duration,
}

/// One invocation, seen from outside.
pub(crate) struct Invocation {
    /// The time from sending the event to the end of the answer.
    pub(crate) latency: Duration,
    /// The CPU time from poll to poll.
    pub(crate) cpu: Duration,
    pub(crate) answer: Vec<u8>,
}

impl Function {
    /// Starts a process, on one core where the system allows, and waits for its first poll.
    pub(crate) fn start(start: &Start) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (events, queue) = channel();
        let (polled, polls) = channel();
        let (answered, answers) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut words = start.wrapper.iter().map(PathBuf::from).chain([start.program.clone()]);
        let mut command = Command::new(words.next().context("a program")?);
        command
            .args(words)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .envs(start.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if start.wrapper.is_empty() {
            command.stderr(Stdio::null());
        }
        let started = Instant::now();
        let child = spawn_on_one_core(&mut command)?;
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (queue, polled, answered) = (Arc::clone(&queue), polled.clone(), answered.clone());
                // A connection ends with the function.
                thread::spawn(move || serve(connection, &queue, &polled, &answered));
            }
        });
        let mut function = Self { child, events, polls, answers, first_poll: Duration::ZERO };
        function.first_poll = function.wait_for_poll()?.duration_since(started);
        Ok(function)
    }

    /// Sends an event, and waits for the answer and the next poll.
    pub(crate) fn invoke(&mut self, event: &str) -> anyhow::Result<Invocation> {
        let cpu = self.cpu()?;
        let sent = Instant::now();
        self.events.send(event.to_owned())?;
        let (answered, answer) = self.answers.recv_timeout(PATIENCE).context("no answer")?;
        self.wait_for_poll()?;
        Ok(Invocation { latency: answered - sent, cpu: self.cpu()?.saturating_sub(cpu), answer })
    }

    fn wait_for_poll(&mut self) -> anyhow::Result<Instant> {
        let polled = self.polls.recv_timeout(PATIENCE).context("the function did not poll for an event");
        thread::sleep(FALLING_ASLEEP);
        polled
    }

    /// The CPU time of the process so far, all threads together, to the nanosecond.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(self.proc("task"))? {
            let times = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += times.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// How many bytes of the process are in memory, the pages of its program included.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(file)
    }

    /// Ends the process with a signal, and returns what it wrote to its standard error.
    pub(crate) fn terminate(mut self) -> anyhow::Result<String> {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
        let mut written = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut written)?;
        }
        self.child.wait()?;
        Ok(written)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The core that the functions run on: one of those that this process could use when it started. `None` where
/// it could use only one.
static FUNCTION_CORE: LazyLock<Option<usize>> = LazyLock::new(|| {
    let allowed = sched_getaffinity(None).ok()?;
    (allowed.count() > 1).then(|| (0..CpuSet::MAX_CPU).find(|core| allowed.is_set(*core)))?
});

/// Starts a process on the functions' core. It inherits the core from the thread that starts it.
fn spawn_on_one_core(command: &mut Command) -> anyhow::Result<Child> {
    thread::scope(|scope| {
        let spawned = scope.spawn(|| {
            if let Some(core) = *FUNCTION_CORE {
                let mut cores = CpuSet::new();
                cores.set(core);
                sched_setaffinity(None, &cores)?;
            }
            anyhow::Ok(command.spawn()?)
        });
        spawned.join().expect("starting a process does not panic")
    })
}

/// Keeps this process, and with it the embedded DynamoDB, away from the functions' core.
pub(crate) fn leave_the_function_core() -> anyhow::Result<()> {
    if let Some(core) = *FUNCTION_CORE {
        let mut others = sched_getaffinity(None)?;
        others.unset(core);
        sched_setaffinity(None, &others)?;
    }
    Ok(())
}

fn serve(
    connection: TcpStream,
    events: &Mutex<Receiver<String>>,
    polled: &Sender<Instant>,
    answered: &Sender<(Instant, Vec<u8>)>,
) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let mut connection = BufReader::new(Box::new(connection) as Box<dyn Stream>);
    while let Some(request) = Message::read(&mut connection)? {
        if request.first_line.contains("/invocation/next ") {
            polled.send(Instant::now())?;
            let event = events.lock().unwrap_or_else(PoisonError::into_inner).recv()?;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                 Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                 Lambda-Runtime-Deadline-Ms: 32503680000000\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:f\r\n\
                 Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0\r\n\
                 Content-Length: {}\r\n\r\n",
                event.len()
            );
            http::write(connection.get_mut(), &head, event.as_bytes())?;
        } else {
            answered.send((Instant::now(), request.body))?;
            let accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
            http::write(connection.get_mut(), accepted, b"")?;
        }
    }
    Ok(())
}

/// How many bytes a program has when it is zipped for an upload.
pub(crate) fn zipped_bytes(program: &Path) -> anyhow::Result<usize> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .compression_level(Some(9));
    zip.start_file("bootstrap", options)?;
    std::io::copy(&mut File::open(program)?, &mut zip)?;
    Ok(zip.finish()?.into_inner().len())
}
