"""The bodies of tasks: how they are called, told that their run is over, and stopped at their deadlines."""
