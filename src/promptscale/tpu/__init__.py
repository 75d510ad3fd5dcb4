"""Jobs on Cloud TPU slices. docs/tpu.md says how to use them and what happens in case of failures.

The controller and the hosts of slices communicate only through objects in a bucket:

    environments/<hash>/        the lock file and the package that hosts install
    blobs/<sha256>              inputs and scripts, each stored once
    jobs/<id>/job.json          a job; its id is a hash of its content
    jobs/<id>/done.json         the job is done: the attempt, and the hash of every output
    jobs/<id>/<attempt>/        `log/<host>/<number>`, `failed.json`, `outputs/<path>`
    slices/<name>/mailbox.json  the attempt that a slice is to work on
    slices/<name>/hosts/<i>     the status of a host, written with every heartbeat
    slices/<name>/startup/<i>   why a host could not be set up
    zones/<zone>                a zone in which this run may have slices
    persistent/<path>           models, the states that jobs resume from, and events

An attempt is the assignment of a job to a slice. An object has a single writer at a time.
`done.json` is written after every object that it names.
"""
