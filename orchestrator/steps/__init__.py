"""What a head does in one tick, in this order: observe, settle, propose, submit."""
