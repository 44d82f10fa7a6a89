-- What a walk left out since its name is that of a program: how many, and the first of them.
ALTER TABLE scan
    ADD COLUMN left_out integer NOT NULL DEFAULT 0,
    ADD COLUMN left_out_paths bytea[] NOT NULL DEFAULT '{}';
