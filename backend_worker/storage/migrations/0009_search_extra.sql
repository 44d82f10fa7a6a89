-- Words by which a track is found beside those that stand in it ("acdc" for AC/DC), as they are:
-- a parser would drop "!!!" and keep 我的歌声里 whole.
ALTER TABLE track ADD COLUMN search_extra text[] NOT NULL DEFAULT '{}';
ALTER TABLE track ALTER COLUMN words SET EXPRESSION AS (
    to_tsvector('simple', regexp_replace(search_text COLLATE "C", '[[:punct:]]', ' ', 'g'))
        || array_to_tsvector(search_extra)
);
