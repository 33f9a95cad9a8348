CREATE TABLE texts (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);
CREATE TABLE prompts (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL
);
CREATE TABLE calls (
    id INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    key BLOB NOT NULL,
    prompt INTEGER NOT NULL,
    text TEXT NOT NULL,
    finish TEXT NOT NULL,
    usage TEXT,
    model TEXT,
    reasoning TEXT,
    logprobs BLOB,
    seconds REAL,
    PRIMARY KEY (id, generation)
) WITHOUT ROWID;
CREATE TABLE tables (
    key BLOB PRIMARY KEY,
    data BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE counts (
    key BLOB PRIMARY KEY,
    tokens INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE contacts (
    backend TEXT PRIMARY KEY,
    capabilities TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    generation INTEGER NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    status TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    model TEXT NOT NULL,
    command TEXT NOT NULL,
    summary TEXT
);
CREATE TABLE sites (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    source TEXT NOT NULL,
    step TEXT NOT NULL,
    prompt BLOB NOT NULL,
    model BLOB NOT NULL
);
CREATE INDEX sites_of_run ON sites (run);
CREATE TABLE ledger (
    site INTEGER NOT NULL,
    node TEXT NOT NULL,
    call INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    attempts INTEGER NOT NULL
);
CREATE INDEX ledger_of_site ON ledger (site);
PRAGMA user_version = 1;
INSERT INTO runs VALUES (1, 0, 1e9, 1e9, 'complete', 'map', 'i m', '["run","map"]', '{"calls":1}');
INSERT INTO runs VALUES (2, 1, 1e9, 1e9, 'complete', 'map', 'i m', '["run","map"]', '{"calls":1}');
INSERT INTO sites VALUES (4294967297, 1, 'a.txt', 'map', x'ab', x'cd');
INSERT INTO ledger VALUES (4294967297, 'characters 0 to 5', 7, 'ok', 1);
INSERT INTO contacts VALUES ('b', '{"window":4096}');
