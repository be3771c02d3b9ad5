"""How a FlowRun's status is written, by the agent while it runs the flow and by the controller when that is over."""
