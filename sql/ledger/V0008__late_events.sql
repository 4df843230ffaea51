-- Ending never waits for the log: an end that was carried out while the log could not be written gets its event later.

ALTER TABLE sessions
    ADD COLUMN end_unlogged boolean NOT NULL DEFAULT false;   -- the event of the wish to end it is still to be written
CREATE INDEX sessions_unlogged ON sessions (id) WHERE end_unlogged;
