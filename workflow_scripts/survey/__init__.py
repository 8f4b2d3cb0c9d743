"""The survey: people rate nine answers of the system from 1 to 5."""
