"""Reality: simulators behind the Env protocol."""
