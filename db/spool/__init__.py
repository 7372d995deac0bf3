"""The spool: how head and workers talk through files in the run folder.

    spool/assignments/   TOKEN_INDEX.json, renamed by whoever takes it
    spool/reports/       one file a report; the head deletes it when it has committed it
    spool/metrics/       one append-only JSON-lines file an attempt: heartbeats and metrics
    spool/commands/      what people ask of the head; it deletes what it has done, and says no in a
                         file beside it
    spool/rejected/      what the head could not read, each with a `.reason` file

Everything here works on NFS: names appear complete (temporary name, rename), a rename decides who
owns an assignment, and no lock is ever taken. Only the standard library, and of that little.
"""
