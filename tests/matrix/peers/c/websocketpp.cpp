// websocketpp: its echo_server example, and the same as a client.
//
//     websocketpp server|client PORT
#include <boost/bind/bind.hpp>
#include <websocketpp/client.hpp>
#include <websocketpp/config/asio_no_tls.hpp>
#include <websocketpp/config/asio_no_tls_client.hpp>
#include <websocketpp/server.hpp>

template <typename Endpoint> void echo_on(Endpoint &endpoint) {
    endpoint.clear_access_channels(websocketpp::log::alevel::all);
    endpoint.clear_error_channels(websocketpp::log::elevel::all);
    endpoint.init_asio();
    endpoint.set_message_handler([&](websocketpp::connection_hdl connection, typename Endpoint::message_ptr message) {
        websocketpp::lib::error_code failed;
        endpoint.send(connection, message->get_payload(), message->get_opcode(), failed);
    });
}

int main(int, char **words) {
    if (std::string(words[1]) == "server") {
        websocketpp::server<websocketpp::config::asio> server;
        echo_on(server);
        server.set_reuse_addr(true);
        server.listen(boost::asio::ip::tcp::v4(), std::stoi(words[2]));
        server.start_accept();
        server.run();
    } else {
        websocketpp::client<websocketpp::config::asio_client> client;
        echo_on(client);
        websocketpp::lib::error_code failed;
        client.connect(client.get_connection(std::string("ws://127.0.0.1:") + words[2] + "/", failed));
        client.run();
    }
}
