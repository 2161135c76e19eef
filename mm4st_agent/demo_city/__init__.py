"""Simulated data whose causes are known; says everywhere that it is synthetic."""
