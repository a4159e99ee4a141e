"""The forms a program takes, one file each: syntax, network, recursion, program."""
