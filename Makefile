.PHONY: demo test

demo test:
	scripts/setup
	scripts/$@
