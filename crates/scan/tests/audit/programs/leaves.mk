serve:
	@echo ready; sleep 1000; true
