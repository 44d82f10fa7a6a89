-- A disc's own name, as "Chopin" in "CD 36: Chopin".
ALTER TABLE track ADD COLUMN disc_title text;
