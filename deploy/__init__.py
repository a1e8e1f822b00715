"""What runs around the engine: dashboards, rules and alerts, containers."""
