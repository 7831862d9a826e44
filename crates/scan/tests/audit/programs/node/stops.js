const { stopOn } = require('./lib/stop');
const timer = setInterval(() => {}, 1000);
stopOn(timer);
