package natsconn_test

func trustProxies() error { return nil }
