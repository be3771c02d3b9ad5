"""Call the bodies of tasks, interrupt them when their run is over, and stop them at their deadlines."""
