"""Parts of a FlowRun's status that both the agent and the controller read or write."""
