# The Ruby peers of the matrix, each an echo as its docs show one.
#
#     ruby peers.rb server NAME PORT
#     ruby peers.rb client NAME ws://127.0.0.1:PORT/
require 'socket'

role, name, address = ARGV
case "#{role} #{name}"
when 'server faye-websocket-ruby'
  require 'faye/websocket'
  require 'rack/handler/thin'
  require 'thin'
  Faye::WebSocket.load_adapter('thin')
  Thin::Logging.silent = true
  app = lambda do |env|
    return [400, {}, []] unless Faye::WebSocket.websocket?(env)

    ws = Faye::WebSocket.new(env)
    ws.on(:message) { |event| ws.send(event.data) }
    ws.rack_response
  end
  Rack::Handler::Thin.run(app, Host: '127.0.0.1', Port: address.to_i)
when 'server websocket-driver'
  require 'websocket/driver'
  # A socket with the method that a driver writes by, as its docs ask for.
  Wire = Struct.new(:socket) do
    def write(data)
      socket.write(data)
    end
  end
  server = TCPServer.new('127.0.0.1', address.to_i)
  loop do
    socket = server.accept
    Thread.new do
      driver = WebSocket::Driver.server(Wire.new(socket))
      driver.on(:connect) { driver.start if WebSocket::Driver.websocket?(driver.env) }
      driver.on(:message) { |event| event.data.is_a?(String) ? driver.text(event.data) : driver.binary(event.data) }
      driver.on(:close) { socket.close_write }
      begin
        loop { driver.parse(socket.readpartial(65_536)) }
      rescue StandardError
        socket.close
      end
    end
  end
when 'client websocket-driver'
  require 'uri'
  require 'websocket/driver'
  socket = TCPSocket.new('127.0.0.1', URI(address).port)
  Wire = Struct.new(:socket, :url) do
    def write(data)
      socket.write(data)
    end
  end
  driver = WebSocket::Driver.client(Wire.new(socket, address))
  driver.on(:message) { |event| event.data.is_a?(String) ? driver.text(event.data) : driver.binary(event.data) }
  driver.on(:close) { exit }
  driver.start
  begin
    loop { driver.parse(socket.readpartial(65_536)) }
  rescue StandardError
    exit
  end
when 'server em-websocket'
  require 'em-websocket'
  EM.run do
    EM::WebSocket.run(host: '127.0.0.1', port: address.to_i) do |ws|
      ws.onmessage { |message| ws.send(message) }
      ws.onbinary { |message| ws.send_binary(message) }
    end
  end
end
