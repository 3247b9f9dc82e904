"""One file a command: what it does with the arguments that `sparkify.cli` takes."""
