"""Adapters of simulators, one file each: a task record's `simulator` is the name of one."""
