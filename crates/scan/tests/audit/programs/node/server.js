const http = require('node:http');
http.createServer((_, answer) => answer.end('here')).listen(8080);
