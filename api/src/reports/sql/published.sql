-- The checkpoint that a report rests on: the last one published at or before $as_of.
-- From: checkpoints.
-- Gives: position and instant of the checkpoint, and the feeder-days that were still owed then.
-- Source: house choice: a report rests on whole checkpoints.
SELECT position, published_at, feeder_days_owed
FROM checkpoints
WHERE published_at <= arrow_cast($as_of, 'Timestamp(Microsecond, Some("UTC"))')
ORDER BY published_at DESC, position DESC
LIMIT 1
