"""Interfaces of other packages, so that their scripts run by changing an import."""
