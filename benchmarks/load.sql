-- What a head leaves behind of the trials of one chunk. load.py fills the names in and puts the rows
-- `d` before each SELECT: number i, a point (x, y), whether it failed, times.

INSERT INTO generation (id, experiment_id, number, node, generator, requested, produced, fit_time,
                        gen_time, seed, state, created_at)
SELECT $generation + i / 4, $experiment, i / 4, 0, 'SOBOL', 4, 4, 0.01, 0.001, i,
       CAST('{"drawn": ' || i || '}' AS $json), planned
FROM d WHERE i % 4 = 0;

INSERT INTO trial (id, experiment_id, "index", generation_id, parameters, parameter_hash, status,
                   status_reason, created_at, staged_at, run_started_at, completed_at)
SELECT $trial + i, $experiment, i, $generation + i / 4,
       CAST('{"x": ' || x || ', "y": ' || y || ', "layers": ' || (i % 9) || ', "kind": "a"}'
            AS $json),
       '4f6a1c0b9d2e8f7a3b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c' || i,
       CASE WHEN failed = 1 THEN 2 ELSE 3 END, CASE WHEN failed = 1 THEN 'exit code 1' END,
       planned, planned, started, ended
FROM d;

INSERT INTO submission (id, experiment_id, token, size, resources, state, slurm_job_id, created_at,
                        answered_at)
SELECT $submission + i / 100, $experiment, 's' || ($submission + i), 100,
       CAST('{"cpus": 4, "memory_mb": 8000}' AS $json), 'ACCEPTED', '' || i, planned, planned
FROM d WHERE i % 100 = 0;

INSERT INTO attempt (id, trial_id, submission_id, array_index, number, token, claim, state,
                     slurm_job_id, host, requested, measured, exit_code, failure_class,
                     failure_message, log_path, created_at, submitted_at, started_at, ended_at,
                     heartbeat_at)
SELECT $attempt + i, $trial + i, $submission + i / 100, i % 100, 1, 'a' || ($attempt + i),
       '0123456789abcdef', CASE WHEN failed = 1 THEN 'FAILED' ELSE 'SUCCEEDED' END,
       (i / 100) || '_' || (i % 100), 'node' || (i % 64),
       CAST('{"cpus": 4, "memory_mb": 8000}' AS $json),
       CAST('{"wall_seconds": 61.5, "user_seconds": 58.25, "system_seconds": 1.5, '
            || '"peak_memory_bytes": 734003200, '
            || '"program_started_at": "2026-01-01T00:00:00.000000+00:00", '
            || '"program_ended_at": "2026-01-01T00:01:01.500000+00:00"}' AS $json),
       failed, CASE WHEN failed = 1 THEN 'PROGRAM' END,
       CASE WHEN failed = 1 THEN 'exit code 1' END, 'jobs/' || (i / 100) || '.out',
       planned, planned, started, ended, ended
FROM d;

INSERT INTO report (id, attempt_id, kind, sequence, payload, created_at, consumed_at)
SELECT $report + 2 * i, $attempt + i, 'START', 0,
       CAST('{"claim": "0123456789abcdef", "host": "node' || (i % 64) || '", "slurm_job_id": "'
            || i || '", "pid": 4711, "started_at": "2026-01-01T00:00:00.000000+00:00"}' AS $json),
       started, started
FROM d;

INSERT INTO report (id, attempt_id, kind, sequence, payload, created_at, consumed_at)
SELECT $report + 2 * i + 1, $attempt + i, 'END', 0,
       CAST('{"results": {"LOSS": ' || (x * x + y) || '}, "sems": {}, "infos": {}, "artifacts": [], '
            || '"problems": [], "cause": "EXIT", "exit_code": ' || failed || ', '
            || '"signal": null, "host": "node' || (i % 64) || '", "slurm_job_id": "' || i || '", '
            || '"started_at": "2026-01-01T00:00:00.000000+00:00", '
            || '"ended_at": "2026-01-01T00:01:01.500000+00:00", '
            || '"measured": {"wall_seconds": 61.5}, "tail": "epoch 100 of 100 done"}' AS $json),
       ended, ended
FROM d;

INSERT INTO event (experiment_id, kind, trial_id, payload, created_at)
SELECT $experiment, CASE WHEN failed = 1 THEN 'failure' ELSE 'tell' END, $trial + i,
       CAST('{"trial_index": ' || i || ', "results": {"LOSS": ' || (x * x + y) || '}}' AS $json),
       ended
FROM d;

INSERT INTO outcome (trial_id, objective_id, mean, source, attempt_id)
SELECT $trial + i, $first_objective, x * x + y, 'ATTEMPT', $attempt + i
FROM d WHERE failed = 0;

INSERT INTO outcome (trial_id, objective_id, mean, source, attempt_id)
SELECT $trial + i, $second_objective, (1 - x) * (1 - x) + y, 'ATTEMPT', $attempt + i
FROM d WHERE failed = 0 AND $second_objective > 0;
