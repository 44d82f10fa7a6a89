-- The library: files, tracks, albums, artists, covers, vectors, scans.
-- Paths are bytea: a file name need not be valid UTF-8.

CREATE EXTENSION IF NOT EXISTS unaccent;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS vector;

-- Which of two spellings to show. Commutative and associative, so that the result does
-- not depend on the order in which batches arrive: mixed case before all-upper or
-- all-lower, then the first by code point. pg_c_utf8: the same in every locale, as
-- grouping.better_spelling computes it.
CREATE FUNCTION better_spelling(a text, b text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN a IS NULL THEN b
        WHEN b IS NULL THEN a
        WHEN (a IN (upper(a COLLATE pg_c_utf8), lower(a COLLATE pg_c_utf8)))
            <> (b IN (upper(b COLLATE pg_c_utf8), lower(b COLLATE pg_c_utf8)))
            THEN CASE WHEN a IN (upper(a COLLATE pg_c_utf8), lower(a COLLATE pg_c_utf8))
                THEN b ELSE a END
        WHEN a COLLATE "C" <= b COLLATE "C" THEN a
        ELSE b
    END;

CREATE AGGREGATE best_spelling(text) (
    SFUNC = better_spelling, STYPE = text, COMBINEFUNC = better_spelling, PARALLEL = SAFE
);

-- What search compares: without accents and case.
CREATE FUNCTION search_form(words text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE STRICT
    AS $$ BEGIN RETURN lower(unaccent(words)); END $$;

CREATE TABLE scan (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    root bytea NOT NULL,
    task_id text NOT NULL UNIQUE, -- the message that walks: delivered again, it goes on with this scan
    status text NOT NULL DEFAULT 'running'
        CHECK (status IN ('running', 'cancelling', 'completed', 'cancelled', 'failed')),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    walk_ended boolean NOT NULL DEFAULT false,
    walk_complete boolean NOT NULL DEFAULT false, -- ended without any error: only then is anything gone
    directories integer NOT NULL DEFAULT 0,
    other_files integer NOT NULL DEFAULT 0, -- not music
    -- Files the walk dealt with by itself; the others are counted in their batches.
    walk_unchanged integer NOT NULL DEFAULT 0,
    walk_failed integer NOT NULL DEFAULT 0, -- known as unreadable and not changed since
    walk_ignored integer NOT NULL DEFAULT 0, -- written in the last seconds
    error_count integer NOT NULL DEFAULT 0,
    -- The final figures: found = stored + unchanged + failed + ignored.
    found integer,
    stored integer,
    unchanged integer,
    failed integer,
    ignored integer,
    moved integer, -- of the stored ones
    gone integer,
    message text,
    followed_up boolean NOT NULL DEFAULT false -- covers, vectors and artists were asked for
);
CREATE INDEX scan_active ON scan (id) WHERE status IN ('running', 'cancelling');

CREATE TABLE scan_error (
    scan_id bigint NOT NULL REFERENCES scan ON DELETE CASCADE,
    path bytea NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (scan_id, path)
);

-- One message's worth of files. A pending batch holds its paths, so that it can be sent
-- again when the broker has lost it.
CREATE TABLE scan_batch (
    id text PRIMARY KEY,
    scan_id bigint REFERENCES scan ON DELETE CASCADE, -- null: sent by a client, outside of a scan
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'split', 'cancelled')),
    files integer NOT NULL,
    paths bytea[],
    stored integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    ignored integer NOT NULL DEFAULT 0,
    moved integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX scan_batch_scan ON scan_batch (scan_id, state);

-- Folders below a root (or the root itself) that were mount points at its last complete scan:
-- one that is none any more is an unplugged disk, not a folder that was emptied.
CREATE TABLE mount_point (
    root bytea NOT NULL,
    path bytea NOT NULL,
    PRIMARY KEY (root, path)
);

CREATE TABLE scan_missing (
    scan_id bigint NOT NULL REFERENCES scan ON DELETE CASCADE,
    file_id bigint NOT NULL,
    PRIMARY KEY (scan_id, file_id)
);

CREATE TABLE file (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    path bytea NOT NULL UNIQUE,
    size bigint NOT NULL,
    mtime_ns bigint NOT NULL,
    fingerprint bytea,
    state text NOT NULL CHECK (state IN ('stored', 'failed', 'gone')),
    reason text, -- why it could not be read
    scan_id bigint, -- the scan that last read it
    added_at timestamptz NOT NULL DEFAULT now(),
    read_at timestamptz NOT NULL DEFAULT now(),
    gone_at timestamptz
);
CREATE INDEX file_fingerprint ON file (fingerprint);
CREATE INDEX file_scan ON file (scan_id);
CREATE INDEX file_not_stored ON file (state) WHERE state <> 'stored';

CREATE TABLE file_move (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_id bigint NOT NULL REFERENCES file ON DELETE CASCADE,
    scan_id bigint,
    old_path bytea NOT NULL,
    new_path bytea NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX file_move_file ON file_move (file_id);

CREATE TABLE artist (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name_key text NOT NULL,
    mbid uuid UNIQUE,
    name text NOT NULL,
    sort_name text,
    image bytea,
    image_source text,
    added_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX artist_without_mbid ON artist (name_key) WHERE mbid IS NULL;
CREATE INDEX artist_name_key ON artist (name_key);

CREATE TABLE album (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name_key text NOT NULL,
    mbid uuid UNIQUE,
    release_group_mbid uuid,
    title text NOT NULL,
    sort_title text,
    artist_credit text,
    date text,
    original_date text,
    compilation boolean NOT NULL DEFAULT false,
    disc_total integer,
    label text,
    catalog_number text,
    cover bytea,
    cover_source text,
    added_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX album_without_mbid ON album (name_key) WHERE mbid IS NULL;
CREATE INDEX album_name_key ON album (name_key);

CREATE TABLE album_artist (
    album_id bigint NOT NULL REFERENCES album ON DELETE CASCADE,
    position smallint NOT NULL,
    artist_id bigint NOT NULL REFERENCES artist ON DELETE CASCADE,
    PRIMARY KEY (album_id, position)
);
CREATE INDEX album_artist_artist ON album_artist (artist_id);

CREATE TABLE track (
    id bigint PRIMARY KEY REFERENCES file ON DELETE CASCADE, -- the file's id: it survives a move
    album_id bigint REFERENCES album ON DELETE SET NULL,
    title text NOT NULL,
    artist_credit text,
    track_number integer,
    track_total integer,
    disc_number integer,
    disc_total integer,
    date text,
    original_date text,
    genres text[] NOT NULL DEFAULT '{}',
    bpm real,
    key text,
    isrc text,
    label text,
    catalog_number text,
    has_lyrics boolean NOT NULL DEFAULT false,
    comment text,
    replaygain_track_gain real,
    replaygain_track_peak real,
    replaygain_album_gain real,
    replaygain_album_peak real,
    mb_recording_id uuid,
    mb_track_id uuid,
    title_sort text,
    duration double precision,
    bitrate integer,
    sample_rate integer,
    channels integer,
    bit_depth integer,
    codec text,
    picture bytea,
    search_text text NOT NULL
);
CREATE INDEX track_album ON track (album_id);
CREATE INDEX track_words ON track USING gin (to_tsvector('simple', search_text));
CREATE INDEX track_trigrams ON track USING gin (search_text gin_trgm_ops);

CREATE TABLE track_artist (
    track_id bigint NOT NULL REFERENCES track ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('artist', 'composer')),
    position smallint NOT NULL,
    artist_id bigint NOT NULL REFERENCES artist ON DELETE CASCADE,
    PRIMARY KEY (track_id, role, position)
);
CREATE INDEX track_artist_artist ON track_artist (artist_id);

CREATE TABLE track_vector (
    track_id bigint PRIMARY KEY REFERENCES track ON DELETE CASCADE,
    model_version integer NOT NULL,
    embedding vector(64) NOT NULL
);
-- HNSW needs no training, so one new album is one small insert (IVFFlat would have to be
-- rebuilt as the library grows). Measured on 100,000 made-up tracks in batches of 250, with
-- ef_search 200 (storage/search.py): m 8 and ef_construction 64 take 0.26 ms a vector, 47 MB,
-- and find 97 to 98 % of the ten nearest; m 16: 0.60 ms, 57 MB, 99 %. ef_construction 32 finds
-- 94 % of 20,000. halfvec makes the index 28 % smaller and nothing faster.
CREATE INDEX track_vector_cosine ON track_vector
    USING hnsw (embedding vector_cosine_ops) WITH (m = 8, ef_construction = 64);

-- Without an index: comparing all of some thousand artists takes milliseconds.
CREATE TABLE artist_vector (
    artist_id bigint PRIMARY KEY REFERENCES artist ON DELETE CASCADE,
    model_version integer NOT NULL,
    embedding vector(64) NOT NULL
);

-- Pictures of the cover store, by the SHA-256 of their content.
CREATE TABLE picture (
    hash bytea PRIMARY KEY,
    mime text,
    width integer,
    height integer,
    unusable text, -- why it cannot be shown
    added_at timestamptz NOT NULL DEFAULT now()
);

-- What remote services did not have, so that they are not asked again too soon.
CREATE TABLE remote_lookup (
    service text NOT NULL,
    key text NOT NULL,
    outcome text NOT NULL,
    attempts integer NOT NULL DEFAULT 1,
    retry_at timestamptz NOT NULL,
    PRIMARY KEY (service, key)
);
