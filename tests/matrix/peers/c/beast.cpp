// Boost.Beast: its websocket_server_sync and websocket_client_sync examples, with compression allowed at the server.
//
//     beast server|client PORT
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <string>
#include <thread>

namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = boost::asio::ip::tcp;

static void echo(websocket::stream<tcp::socket> &ws) {
    for (;;) {
        beast::flat_buffer buffer;
        ws.read(buffer);
        ws.text(ws.got_text());
        ws.write(buffer.data());
    }
}

int main(int, char **words) {
    boost::asio::io_context context;
    auto port = static_cast<unsigned short>(std::stoi(words[2]));
    tcp::endpoint address{boost::asio::ip::make_address("127.0.0.1"), port};
    if (std::string(words[1]) == "client") {
        try {
            websocket::stream<tcp::socket> ws{context};
            ws.next_layer().connect(address);
            ws.handshake(std::string("127.0.0.1:") + words[2], "/");
            echo(ws);
        } catch (std::exception const &) {
        }
        return 0;
    }
    tcp::acceptor acceptor{context, address};
    for (;;) {
        tcp::socket socket{context};
        acceptor.accept(socket);
        std::thread([socket = std::move(socket)]() mutable {
            try {
                websocket::stream<tcp::socket> ws{std::move(socket)};
                websocket::permessage_deflate deflate;
                deflate.server_enable = true;
                ws.set_option(deflate);
                ws.accept();
                echo(ws);
            } catch (std::exception const &) {
            }
        }).detach();
    }
}
