serve:
	@sleep 1000
