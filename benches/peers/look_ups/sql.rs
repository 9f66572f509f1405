//! PostgreSQL: the row of a key's hash by its primary key, with a prepared statement over a Unix socket.

use std::{
    fmt::Write as _,
    io::{BufReader, Read, Write},
    os::unix::net::UnixStream,
};

use super::{
    KEYS, LookUp, STORED, hash,
    postgres::Postgres,
    server::{program, version},
    texts,
};
use crate::{keyring::APP, rounds::Contender};

const LOOK_UP: &str = "SELECT app_id FROM api_keys WHERE hash = $1 AND revoked_at IS NULL";

pub(super) fn look_up() -> Option<LookUp> {
    let program = program("initdb", "Debian: postgresql")?;
    let server = Postgres::start(&["shared_buffers=512MB"]);
    let (database, texts) = (server.new_database(), texts());
    let mut sql = format!(
        "CREATE TABLE api_keys (hash bytea PRIMARY KEY, app_id uuid NOT NULL, revoked_at timestamptz);\n\
         INSERT INTO api_keys SELECT sha256(number::text::bytea), gen_random_uuid() FROM generate_series({}, {STORED}) \
         AS number;\n",
        KEYS + 1
    );
    for text in &texts {
        let hex: String = hash(text).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(sql, "INSERT INTO api_keys VALUES ('\\x{hex}', '{APP}');").expect("a text");
    }
    sql.push_str("VACUUM ANALYZE api_keys;\n");
    server.psql(&database, &sql);
    let socket = server.folder().join(format!(".s.PGSQL.{}", server.port()));
    let mut connection = Connection::open(&socket, &database);
    let (mut at, name) = (0, format!("PostgreSQL {}, the hash by primary key", version(&program, "--version")));
    let contender = Contender::new(&name, move || {
        let _runs = &server;
        at = (at + 1) % KEYS;
        connection.finds(&hash(&texts[at]))
    });
    Some(LookUp { contender: contender.rarely(20), does: ["yes", "yes", "no"] })
}

/// A connection with the statement prepared.
struct Connection {
    stream: BufReader<UnixStream>,
    question: Vec<u8>,
    message: Vec<u8>,
}

impl Connection {
    fn open(socket: &std::path::Path, database: &str) -> Self {
        let stream = UnixStream::connect(socket).expect("a connection");
        let mut connection = Connection { stream: BufReader::new(stream), question: Vec::new(), message: Vec::new() };
        let start = format!("user\0postgres\0database\0{database}\0\0");
        let length = u32::try_from(start.len() + 8).expect("a short message");
        connection.question = [&length.to_be_bytes()[..], &[0, 3, 0, 0], start.as_bytes()].concat();
        assert!(!connection.ask(), "no row yet");
        connection.question.clear();
        // Named as the statement, with no types of its parameters.
        put(&mut connection.question, b'P', &[b"look_up\0", LOOK_UP.as_bytes(), &[0, 0, 0]]);
        put(&mut connection.question, b'S', &[]);
        assert!(!connection.ask(), "no row yet");
        connection
    }

    fn finds(&mut self, hash: &[u8; 32]) -> bool {
        self.question.clear();
        // One format, binary; one parameter and its length; one format of the result, binary.
        put(&mut self.question, b'B', &[b"\0look_up\0", &[0, 1, 0, 1, 0, 1, 0, 0, 0, 32], hash, &[0, 1, 0, 1]]);
        put(&mut self.question, b'E', &[&[0; 5]]);
        put(&mut self.question, b'S', &[]);
        self.ask()
    }

    /// Whether the answer has the app's row.
    fn ask(&mut self) -> bool {
        self.stream.get_mut().write_all(&self.question).expect("asked");
        let mut found = false;
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).expect("answered");
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
            self.message.resize(length, 0);
            self.stream.read_exact(&mut self.message).expect("answered");
            match head[0] {
                // A row of one column, whose value is behind its length.
                b'D' => found = self.message[6..] == *APP.as_bytes(),
                b'E' => panic!("PostgreSQL: {}", String::from_utf8_lossy(&self.message)),
                b'Z' => return found,
                _ => {}
            }
        }
    }
}

/// Adds a message of these parts.
fn put(question: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    question.push(kind);
    question.extend(u32::try_from(length).expect("a short message").to_be_bytes());
    parts.iter().for_each(|part| question.extend(*part));
}
