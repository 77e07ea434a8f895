"""What this machine has, and what a planned run will cost: asked before hours are spent, and written nowhere."""
