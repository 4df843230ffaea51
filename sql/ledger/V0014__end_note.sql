-- What somebody said when he ended a session while the log could not be written: its event follows, with his words.

ALTER TABLE sessions
    ADD COLUMN end_note text;   -- only while end_unlogged
