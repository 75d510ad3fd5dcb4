"""Jobs on Cloud TPU slices; docs/tpu.md says what it is for and how it behaves when things fail.

A bucket is all that the controller and the hosts share, and what lies in it is the protocol:

    environments/<hash>/        the lock and the package that hosts install
    blobs/<sha256>              inputs and scripts, each once
    tasks/<id>/task.json        a job, named by its content
    tasks/<id>/done.json        it is finished: its attempt and the hash of every output
    tasks/<id>/<attempt>/       `log/<host>/<number>`, `failed.json`, `outputs/<path>`
    slices/<name>/mailbox.json  the attempt that a slice is to work on
    slices/<name>/hosts/<i>     what each of its hosts does, written anew at every beat
    kept/<path>                 models, and the state of a job until its results are taken

An attempt is one lease of a slice for a task. Every object has one writer at a time, and those that
others wait for (`done.json`) are written after everything that they speak of.
"""
