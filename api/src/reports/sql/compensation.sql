-- Compensation of the period, by standard of performance.
-- From: owed (see above); a reversal is negative, so that the sums are net.
-- Source: Electricity (Rights of Consumers) Rules 2020, rule 13, and the regulation that the entries name.
-- Gives: a row each regulation, clause and standard.
SELECT
    owed.regulation,
    owed.clause,
    owed.standard,
    COUNT(*) AS entries,
    COUNT(DISTINCT owed.case_id) AS defaults,
    COUNT(DISTINCT owed.consumer_id) AS consumers,
    SUM(owed.amount_inr) AS amount_inr,
    COALESCE(SUM(CASE WHEN owed.status = 'credited' THEN owed.amount_inr END), 0) AS credited_inr,
    COALESCE(SUM(CASE WHEN owed.status <> 'credited' THEN owed.amount_inr END), 0) AS outstanding_inr
FROM owed
JOIN scope ON scope.node_id = owed.feeder_id
WHERE owed.month BETWEEN $first_day AND $last_day
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
