"""The call graph around a function: callers and callees, direct and through ops tables, chains and shortest paths.

No editor positions here: call hierarchy in an editor is ``features.navigation.call_hierarchy``.
"""
