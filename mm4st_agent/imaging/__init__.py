"""Pictures of spatio-temporal data for people and vision-language models."""
